// SPDX-License-Identifier: Apache-2.0
// Several demo servers on free ports of 127.0.0.1, in this process: what benchmarks put behind a load balancer.
import { random } from "./random.js";
import { DemoServer } from "./server.js";

/** One server a number of cores; their own draws follow from the seed. */
export async function startServers(cores: readonly number[], meanMs: number, seed = 0): Promise<DemoServer[]> {
  const servers = cores.map(
    (c, i) => new DemoServer({ name: `s${i}`, cores: c, meanMs, host: "127.0.0.1", port: 0, random: random(seed + i) }),
  );
  for (const s of servers) await s.listen();
  return servers;
}

export async function stopServers(servers: readonly DemoServer[]): Promise<void> {
  await Promise.all(servers.map((s) => s.stop()));
}
