// SPDX-License-Identifier: Apache-2.0
// node dist/loadtest/demo/servers.js --cores 1,2,4,8: demo servers of that many virtual cores, all in this one process.
import { parseArgs } from "node:util";
import { random } from "./random.js";
import { ready, untilStopped } from "./ready.js";
import { DemoServer } from "./server.js";

const { values } = parseArgs({
  options: {
    cores: { type: "string", default: "1,1,2,2,4,4,8,8" },
    ports: { type: "string", default: "" },
    host: { type: "string", default: "127.0.0.1" },
    "mean-ms": { type: "string", default: "150" },
    seed: { type: "string", default: "1" },
    "stop-with-stdin": { type: "boolean", default: false },
  },
});
const cores = values.cores.split(",").map(Number);
const ports = values.ports === "" ? cores.map(() => 0) : values.ports.split(",").map(Number);
const fail = (why: string): never => {
  process.stderr.write(`demo servers: ${why}\n`);
  process.exit(2);
};
if (cores.some((c) => !(c > 0))) fail(`--cores ${values.cores}: expected positive numbers, such as 1,2,4,8`);
if (ports.length !== cores.length) fail(`--ports ${values.ports}: expected ${cores.length} ports, as many as --cores`);

const servers = cores.map((c, i) => {
  const own = { name: `demo-${i + 1}`, cores: c, port: ports[i] as number, random: random(Number(values.seed) * 1000 + i) };
  return new DemoServer({ ...own, host: values.host, meanMs: Number(values["mean-ms"]) });
});

async function main(): Promise<void> {
  for (const s of servers) await s.listen();
  const stopped = untilStopped(values["stop-with-stdin"]);
  ready({
    service: "demo-servers",
    servers: servers.map((s) => ({ name: s.options.name, address: s.address, cores: s.options.cores })),
  });
  await stopped;
  await Promise.all(servers.map((s) => s.stop()));
  process.exit(0);
}

main().catch((e: unknown) => fail((e as Error).message));
