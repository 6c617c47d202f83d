// SPDX-License-Identifier: Apache-2.0
// What VPP's threads cost: a packet with three workers against one, and the main thread when nothing happens.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchOptions, Group } from "../harness.js";
import { mean, ratio, row } from "../row.js";
import { absent, flowFrames, modules, serverList, start, type Vpp, writePcap } from "./vpp.js";

const WORKERS = 3;
/** nodes: ours, of packets that came in, and of those that another worker handed over. */
interface Way {
  word: string;
  rl: string;
  nodes: readonly [string, string];
  bar: string;
  /** Servers' replies, each at another worker than its flow's. */
  replies?: true;
}
const FORTH = ["lb-rl-ip4", "lb-rl-owned4"] as const;
const WAYS: readonly Way[] = [
  { word: "l3dsr", rl: "l3dsr", nodes: FORTH, bar: "<= 1.25" },
  { word: "nat", rl: "nat", nodes: FORTH, bar: "<= 1.25" },
  { word: "nat_replies", rl: "nat", nodes: ["lb-rl-return4", "lb-rl-owned-return4"], bar: "", replies: true },
];

/** Nanoseconds of processor time that a thread has had. */
const ranOf = (v: Vpp, thread: number | string): number =>
  Number(readFileSync(`/proc/${v.child.pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);

/** The same of VPP's workers, by name. */
function ran(v: Vpp): Map<string, number> {
  const tasks = `/proc/${v.child.pid}/task`;
  const name = (t: string): string => readFileSync(`${tasks}/${t}/comm`, "utf8").trim();
  const workers = readdirSync(tasks).filter((t) => name(t).startsWith("vpp_wk"));
  return new Map(workers.map((t) => [name(t), ranOf(v, t)]));
}

/** Clocks of our nodes by thread, and the packets that came in, since the last `clear runtime`. */
function ours(text: string, nodes: Way["nodes"]): Map<string, { clocks: number; came: number }> {
  const out = new Map<string, { clocks: number; came: number }>();
  let thread = "";
  for (const line of text.split("\n")) {
    thread = /^Thread \d+ (\S+)/.exec(line)?.[1] ?? thread;
    const f = line.trim().split(/\s+/);
    if (!nodes.includes(f[0] as string) || f.length < 7) continue;
    const packets = Number(f.at(-4));
    const at = out.get(thread) ?? { clocks: 0, came: 0 };
    at.clocks += packets * Number(f.at(-2));
    if (f[0] === nodes[0]) at.came += packets;
    out.set(thread, at);
  }
  return out;
}

/** Clocks of our nodes for each packet that came in, of which what the threads spent waiting for a core is taken off. */
async function aPacket(v: Vpp, nodes: Way["nodes"], ms: number): Promise<number> {
  await v.cli("clear runtime");
  const [before, from] = [ran(v), process.hrtime.bigint()];
  await sleep(ms);
  const [after, to] = [ran(v), process.hrtime.bigint()];
  const text = await v.cli("show runtime");
  let [clocks, came] = [0, 0];
  for (const [thread, x] of ours(text, nodes)) {
    const share = ((after.get(thread) ?? 0) - (before.get(thread) ?? 0)) / Number(to - from);
    clocks += x.clocks * Math.min(1, share);
    came += x.came;
  }
  if (came === 0) throw new Error("no packet came");
  return clocks / came;
}

/** Gives worker w every frame of which `of` says so, for ever. */
async function streams(v: Vpp, name: string, on: string, frames: Buffer[], workers: number, of: (i: number) => number) {
  for (let w = 0; w < workers; w++) {
    const part = frames.filter((_, i) => of(i) === w);
    const file = writePcap(v, await modules(), `${name}${w}`, part);
    const from = `node ethernet-input interface ${on} worker ${w} pcap ${file}`;
    await v.config([`packet-generator new name ${name}${w} limit -1 ${from}`]);
  }
  for (let w = 0; w < workers; w++) await v.cli(`packet-generator enable ${name}${w}`);
  await sleep(1000);
}

async function prepared(way: Way, workers: number): Promise<Vpp> {
  const v = await start(16, { workers });
  const servers = serverList(way.replies ? 1 : 16);
  await v.config([
    `lb rl set-shm ${v.dir}/shm`,
    "lb rl enable udp-timeout 3600",
    `lb rl set-vip b 10.1.0.2 udp 80 ${way.rl}`,
    `lb rl set-servers ${servers.join(" ")}`,
    ...(way.replies
      ? ["lb rl nat interface pg1", "ip route add 172.16.0.0/12 via 10.0.0.9 pg0", "ip neighbor pg0 10.0.0.9 02:00:00:00:02:00"]
      : []),
  ]);
  await streams(v, "s", "pg0", await flowFrames("10.1.0.2", 4095), workers, (i) => i % workers);
  if (!way.replies) return v;
  for (let w = 0; w < workers; w++) await v.config([`packet-generator delete s${w}`]);
  await streams(v, "r", "pg1", await flowFrames("10.1.0.2", 4095, undefined, servers[0]), workers, (i) => (i + 1) % workers);
  return v;
}

async function workers3(o: BenchOptions, way: Way): Promise<void> {
  const one = await prepared(way, 1);
  const figures = { one: [] as number[], three: [] as number[] };
  try {
    for (let i = 0; i < (o.quick ? 4 : 10); i++) figures.one.push(await aPacket(one, way.nodes, 300));
  } finally {
    await one.stop();
  }
  const three = await prepared(way, WORKERS);
  try {
    for (let i = 0; i < (o.quick ? 4 : 10); i++) figures.three.push(await aPacket(three, way.nodes, 600));
  } finally {
    await three.stop();
  }
  const base = mean(figures.one).value;
  const note = `4095 flows, 64 B, ${way.word}: ${mean(figures.three).value.toFixed(0)} clocks of our nodes a packet at ${WORKERS} workers, ${base.toFixed(0)} at one; the workers share cores, and what they waited for one is taken off`;
  o.report(row(`vpp.workers3.vs_one.${way.word}`, "x", way.bar, ratio(figures.three.map((x) => x / base)), note));
}

async function idle(o: BenchOptions): Promise<void> {
  const v = await start(16);
  try {
    await v.config([
      `lb rl set-shm ${v.dir}/shm`,
      "lb rl enable",
      "lb rl set-vip b 10.1.0.2 udp 80 nat",
      `lb rl set-servers ${serverList(16).join(" ")}`,
    ]);
    await sleep(1000);
    const samples: number[] = [];
    for (let i = 0; i < (o.quick ? 4 : 10); i++) {
      const [before, from] = [ranOf(v, v.child.pid), process.hrtime.bigint()];
      await sleep(1000);
      const [after, to] = [ranOf(v, v.child.pid), process.hrtime.bigint()];
      samples.push((after - before) / Number(to - from));
    }
    o.report(row("vpp.main_idle_cpu", "of 1", "<= 0.05", mean(samples), "VPP's main thread, one VIP of 16 servers, no traffic"));
  } finally {
    await v.stop();
  }
}

export const threads: Group = {
  ids: [...WAYS.map((w) => `vpp.workers3.vs_one.${w.word}`), "vpp.main_idle_cpu"],
  async run(o) {
    const why = await absent();
    if (why !== undefined) {
      for (const id of this.ids) o.report(row(id, "x", "", null, why));
      return;
    }
    for (const w of WAYS) if (o.wants(`vpp.workers3.vs_one.${w.word}`)) await workers3(o, w);
    if (o.wants("vpp.main_idle_cpu")) await idle(o);
  },
};
