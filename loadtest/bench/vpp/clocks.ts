// SPDX-License-Identifier: Apache-2.0
// Clocks a packet of known flows: ours against VPP's lb, L3 DSR and GRE, 16 servers, SED and statistics on; flows held.
import type { BenchOptions, Group } from "../harness.js";
import { ratio, row } from "../row.js";
import { absent, measure, serverList, start, steady, stream, sum, type Vpp } from "./vpp.js";

const OURS = ["lb-rl-ip4", "ip4-load-balance"];

/** A way of forwarding, as lb and we name it; lb's node for it; the bar. */
interface Way {
  readonly lb: string;
  readonly rl: string;
  readonly node: string;
  readonly bar: string;
}
const L3DSR: Way = { lb: "l3dsr dscp 2", rl: "l3dsr dscp 2", node: "lb4-l3dsr", bar: "<= 0.8" };
const GRE4: Way = { lb: "gre4", rl: "gre4 src 10.2.0.1", node: "lb4-gre4", bar: "<= 0.9" };

/** Both VIPs on the same servers. lb gets the smallest number of buckets that leaves no flow untracked. */
async function both(v: Vpp, way: Way, flows: number, buckets: number): Promise<void> {
  const servers = serverList(16);
  await v.config([
    `lb conf ip4-src-address 10.2.0.1 buckets ${buckets} timeout 3600`,
    `lb vip 10.1.0.1/32 encap ${way.lb} new_len 1024`,
    ...servers.map((s) => `lb as 10.1.0.1/32 ${s}`),
    `lb rl set-shm ${v.dir}/shm`,
    "lb rl enable udp-timeout 3600",
    `lb rl set-vip b 10.1.0.2/32 ${way.rl} mode sed`,
    `lb rl set-servers ${servers.join(" ")}`,
  ]);
  await stream(v, "lb", "10.1.0.1", flows);
  await stream(v, "rl", "10.1.0.2", flows);
  for (const s of ["lb", "rl"]) await measure(v, s, 50, 300);
}

const untracked = async (v: Vpp): Promise<number> =>
  Number(/untracked packet: (\d+)/.exec(await v.cli("show lb vips verbose"))?.[1] ?? 0);

const leg = (v: Vpp, way: Way, s: string): Promise<number> =>
  steady(async () => sum(await measure(v, s, 25, 15), s === "lb" ? [way.node, "ip4-load-balance"] : OURS));

async function versus(
  o: BenchOptions,
  id: string,
  way: Way,
  flows: number,
  buckets: number,
  flags: string[] = [],
  name = "vpp",
): Promise<void> {
  const v = await start(16, { name, flags });
  try {
    await both(v, way, flows, buckets);
    const ratios: number[] = [];
    const self: number[] = [];
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let i = 0; i < (o.quick ? 6 : 20); i++) {
      const at: number[] = [];
      for (const s of ["lb", "rl", "rl", "lb"]) at.push(await leg(v, way, s));
      const [a, b, c, d] = at as [number, number, number, number];
      ratios.push((b + c) / (a + d));
      self.push(b / c);
      ours.push(b, c);
      theirs.push(a, d);
    }
    const median = (x: number[]): string => ([...x].sort((p, q) => p - q)[x.length >> 1] ?? 0).toFixed(0);
    const lost = await untracked(v);
    const note = `${flows} UDP flows, 64 B: ours ${median(ours)}, lb ${median(theirs)} clocks (medians); lb ${buckets} buckets, ${lost} untracked`;
    o.report(row(id, "x", name === "vpp" ? way.bar : "", ratio(ratios), note));
    o.report(row(`${id}.self`, "x", "", ratio(self), "ours against ours"));
  } finally {
    await v.stop();
  }
}

async function held(o: BenchOptions): Promise<void> {
  const v = await start(16);
  try {
    const n = o.quick ? 262144 : 1_000_000;
    await v.config([
      `lb rl set-shm ${v.dir}/shm`,
      "lb rl enable udp-timeout 3600",
      "lb rl set-vip b 10.1.0.2/32 l3dsr",
      `lb rl set-servers ${serverList(16).join(" ")}`,
    ]);
    await stream(v, "rl", "10.1.0.2", n);
    await measure(v, "rl", 3000, 100);
    const stats = await v.cli("lb rl show stats");
    const flows = Number(/flows (\d+), half-open/.exec(stats)?.[1]);
    const lost = Number(/untracked (\d+)/.exec(stats)?.[1]);
    o.report(
      row(
        "vpp.flows_held",
        "flows",
        o.quick ? "" : ">= 1000000",
        { value: flows, low: flows, high: flows, n: 1 },
        `of ${n} offered to one worker, default size`,
      ),
    );
    o.report(row("vpp.untracked", "flows", "<= 0", { value: lost, low: lost, high: lost, n: 1 }, "beside them"));
  } finally {
    await v.stop();
  }
}

const ids = [
  "vpp.clocks_4k.vs_lb",
  "vpp.clocks_262k.vs_lb",
  "vpp.clocks_4k_v2.vs_lb",
  "vpp.clocks_262k_v2.vs_lb",
  "vpp.gre4_4k.vs_lb",
  "vpp.flows_held",
  "vpp.untracked",
];
const v2 = ["-DVPP_MARCH_VARIANT_X86_64_V3=OFF", "-DVPP_MARCH_VARIANT_X86_64_V4=OFF"];

export const clocks: Group = {
  ids,
  async run(o) {
    const why = await absent();
    if (why !== undefined) {
      for (const id of ids) o.report(row(id, "x", "", null, why));
      return;
    }
    for (const [suffix, flags, name] of [
      ["", [], "vpp"],
      ["_v2", v2, "vpp-v2"],
    ] as const) {
      const note = (flows: string): string => `vpp.clocks_${flows}${suffix}.vs_lb`;
      if (o.wants(note("4k"))) await versus(o, note("4k"), L3DSR, 4096, 16384, [...flags], name);
      if (o.wants(note("262k"))) await versus(o, note("262k"), L3DSR, 262144, 1 << 20, [...flags], name);
    }
    if (o.wants("vpp.gre4_4k.vs_lb")) await versus(o, "vpp.gre4_4k.vs_lb", GRE4, 4096, 16384);
    if (o.wants("vpp.flows_held") || o.wants("vpp.untracked")) await held(o);
  },
};
