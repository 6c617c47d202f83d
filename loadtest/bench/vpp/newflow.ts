// SPDX-License-Identifier: Apache-2.0
// Clocks of a packet that makes a flow, by mode, at 64 and at 1024 servers.

import { setTimeout as sleep } from "node:timers/promises";
import { MODE_WORDS } from "../../../services/common/vocabulary.js";
import type { BenchOptions, Group } from "../harness.js";
import { quantile, row } from "../row.js";
import { absent, serverList, start, stream, type Vpp } from "./vpp.js";

const counts = [64, 1024];

const n = 65536;

/** One pass over the stream: every packet makes a flow. Then they age out (time-out 1 s), so that the next pass finds the same tables warm. */
async function pass(v: Vpp): Promise<number> {
  const made = async (): Promise<number> => Number(/new (\d+), packets in/.exec(await v.cli("lb rl show stats"))?.[1] ?? 0);
  const before = await made();
  await v.cli("clear runtime");
  await v.cli(`packet-generator configure fresh limit ${n}`);
  await v.cli("packet-generator enable fresh");
  for (let i = 0; i < 60 && (await made()) - before < n; i++) await sleep(20);
  const node = (await v.cli("show runtime")).split("\n").find((l) => l.startsWith("lb-rl-ip4 "));
  await v.cli("packet-generator disable fresh");
  if ((await made()) - before !== n) throw new Error(`${(await made()) - before} of ${n} packets made a flow`);
  await sleep(2400);
  return Number(node?.trim().split(/\s+/).at(-2));
}

async function one(o: BenchOptions, servers: number): Promise<void> {
  const v = await start(servers);
  try {
    await v.config([`lb rl set-shm ${v.dir}/shm`, "lb rl enable udp-timeout 1", "lb rl set-vip b 10.1.0.2/32 l3dsr"]);
    await v.config(serverList(servers).map((s) => `lb rl add-server ${s}`));
    await stream(v, "fresh", "10.1.0.2", n);
    await sleep(300);
    await pass(v);
    for (const mode of MODE_WORDS) {
      if (!o.wants(`vpp.newflow_clocks_${servers}.${mode}`)) continue;
      await v.config([`lb rl set-mode ${mode}`]);
      const samples: number[] = [];
      for (let i = 0; i < (o.quick ? 5 : 15); i++) samples.push(await pass(v));
      o.report(
        row(
          `vpp.newflow_clocks_${servers}.${mode}`,
          "clocks",
          "",
          quantile(samples, 0.5),
          `a packet that makes a UDP flow, L3 DSR, ${servers} servers; median of passes of ${n} packets`,
        ),
      );
    }
  } finally {
    await v.stop();
  }
}

export const newflow: Group = {
  ids: counts.flatMap((c) => MODE_WORDS.map((m) => `vpp.newflow_clocks_${c}.${m}`)),
  async run(o) {
    const why = await absent();
    if (why !== undefined) {
      for (const id of this.ids) o.report(row(id, "clocks", "", null, why));
      return;
    }
    for (const c of counts)
      if (o.wants(`vpp.newflow_clocks_${c}`) || MODE_WORDS.some((m) => o.wants(`vpp.newflow_clocks_${c}.${m}`))) await one(o, c);
  },
};
