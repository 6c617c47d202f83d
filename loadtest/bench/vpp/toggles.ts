// SPDX-License-Identifier: Apache-2.0
// `lb rl nat interface` set and unset ten thousand times while servers' replies come in by that interface: packets that do not go on.
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchOptions, Group } from "../harness.js";
import { exact, row } from "../row.js";
import { absent, flowFrames, measure, modules, serverList, start, stream, type Vpp, writePcap } from "./vpp.js";

const RATE = 200_000;
const PAIRS = 50; // in one file of commands

async function arrived(v: Vpp): Promise<number> {
  return Number(/tx packets\s+(\d+)/.exec(await v.cli("show interface pg0"))?.[1] ?? 0);
}

async function toggle(v: Vpp, files: number): Promise<number> {
  const began = performance.now();
  const pairs = Array.from({ length: PAIRS }, () => ["lb rl nat interface pg1", "lb rl nat interface pg1 del"]).flat();
  for (let i = 0; i < files; i++) await v.config(pairs);
  return (performance.now() - began) / 1000;
}

async function run(o: BenchOptions): Promise<void> {
  const v = await start(1);
  try {
    const servers = serverList(1);
    await v.config([
      `lb rl set-shm ${v.dir}/shm`,
      "lb rl enable udp-timeout 3600",
      "lb rl set-vip b 10.1.0.2 udp 80 nat",
      `lb rl set-servers ${servers[0]}`,
      "ip route add 172.16.0.0/12 via 10.0.0.9 pg0",
      "ip neighbor pg0 10.0.0.9 02:00:00:00:02:00",
    ]);
    await stream(v, "rl", "10.1.0.2", 4096);
    await measure(v, "rl", 50, 100);
    const files = (o.quick ? 1000 : 10_000) / (2 * PAIRS);
    // The stream ends by itself, so that what was sent is known to the packet; it is twice as long as the toggles took.
    const seconds = Math.ceil((await toggle(v, 4)) * (files / 4) * 2 + 1);
    const n = RATE * seconds;
    const file = writePcap(v, await modules(), "r", await flowFrames("10.1.0.2", 4096, undefined, servers[0]));
    await v.config([
      `packet-generator new name r limit ${n} rate ${RATE} node ethernet-input interface pg1 pcap ${file}`,
      "clear interfaces",
      "packet-generator enable r",
    ]);
    await toggle(v, files);
    const before = await arrived(v);
    if (before >= n) throw new Error(`${n} packets ended before the toggles did`);
    for (let waited = 0; waited < 120_000 && (await arrived(v)) < n; waited += 200) {
      if (/^r\s+No\b/m.test(await v.cli("show packet-generator"))) break;
      await sleep(200);
    }
    await sleep(200);
    const lost = n - (await arrived(v));
    const note = `of ${n} replies at ${RATE / 1000} kpps, ${files * 2 * PAIRS} changes while ${before} of them passed`;
    o.report(row("vpp.toggles_lost", "packets", "<= 0", exact(lost, n), note));
  } finally {
    await v.stop();
  }
}

export const toggles: Group = {
  ids: ["vpp.toggles_lost"],
  async run(o) {
    const why = await absent();
    if (why === undefined) return run(o);
    o.report(row("vpp.toggles_lost", "packets", "", null, why));
  },
};
