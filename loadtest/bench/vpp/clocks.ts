// SPDX-License-Identifier: Apache-2.0
// Clocks a packet of known flows: ours against VPP's lb on the same servers, by way of forwarding, SED and statistics on; flows held.
import type { BenchOptions, Group } from "../harness.js";
import { exact, ratio, row } from "../row.js";
import { absent, measure, serverList, start, steady, stream, sum, type Vpp } from "./vpp.js";

/** A way of forwarding, as lb has it (its words and its node) and as we do. */
interface Way {
  readonly lb: string;
  readonly node: string;
  readonly rl: string;
  /** VIP and servers are IPv6. */
  readonly six?: boolean;
  /** lb's VIP is of one port then, and servers have a port of their own. */
  readonly port?: boolean;
}
const L3DSR: Way = { lb: "l3dsr dscp 2", node: "lb4-l3dsr", rl: "l3dsr dscp 2" };
const NAT4: Way = { lb: "nat4 type clusterip target_port 8080", node: "lb4-nat4-port", rl: "nat", port: true };
const NAT6: Way = { lb: "nat6 type clusterip target_port 8080", node: "lb6-nat6-port", rl: "nat", port: true, six: true };
const GRE4: Way = { lb: "gre4", node: "lb4-gre4", rl: "gre4 src 10.2.0.1" };
const GRE6: Way = { lb: "gre6", node: "lb6-gre6", rl: "gre6 src fd00:2::1", six: true };
/** lb has no IP in IP: its GRE stands for it. */
const IPIP4: Way = { ...GRE4, rl: "ipip4 src 10.2.0.1" };

const FEW = { flows: 4096, buckets: 16384 };
const MANY = { flows: 262144, buckets: 1 << 20 };
const V2 = { name: "vpp-v2", flags: ["-DVPP_MARCH_VARIANT_X86_64_V3=OFF", "-DVPP_MARCH_VARIANT_X86_64_V4=OFF"] };

interface Case {
  readonly id: string;
  readonly way: Way;
  readonly at: { flows: number; buckets: number };
  readonly bar: string;
  readonly build?: { name: string; flags: string[] };
}
const CASES: readonly Case[] = [
  { id: "vpp.clocks_4k.vs_lb", way: L3DSR, at: FEW, bar: "<= 0.68" },
  { id: "vpp.clocks_262k.vs_lb", way: L3DSR, at: MANY, bar: "<= 0.38" },
  { id: "vpp.clocks_4k_v2.vs_lb", way: L3DSR, at: FEW, bar: "", build: V2 },
  { id: "vpp.clocks_262k_v2.vs_lb", way: L3DSR, at: MANY, bar: "", build: V2 },
  { id: "vpp.nat4_4k.vs_lb", way: NAT4, at: FEW, bar: "<= 0.80" },
  { id: "vpp.nat6_4k.vs_lb", way: NAT6, at: FEW, bar: "<= 0.72" },
  { id: "vpp.gre4_4k.vs_lb", way: GRE4, at: FEW, bar: "<= 0.90" },
  { id: "vpp.gre6_4k.vs_lb", way: GRE6, at: FEW, bar: "<= 0.90" },
  { id: "vpp.ipip_4k.vs_lb", way: IPIP4, at: FEW, bar: "<= 0.90" },
];

const vips = (way: Way): { lb: string; rl: string } =>
  way.six ? { lb: "fd00:9::1", rl: "fd00:9::2" } : { lb: "10.1.0.1", rl: "10.1.0.2" };

/** Both VIPs on the same servers. lb gets the smallest number of buckets that leaves no flow untracked. */
async function both(v: Vpp, way: Way, at: Case["at"]): Promise<void> {
  const servers = serverList(16, way.six);
  const vip = vips(way);
  const prefix = `${vip.lb}/${way.six ? 128 : 32}`;
  const ours = way.port ? servers.map((s) => (way.six ? `[${s}]:8080` : `${s}:8080`)) : servers;
  const port = way.port ? " protocol udp port 80" : "";
  await v.config([
    `lb conf ip4-src-address 10.2.0.1 ip6-src-address fd00:2::1 buckets ${at.buckets} timeout 3600`,
    `lb vip ${prefix}${port} encap ${way.lb} new_len 1024`,
    ...servers.map((s) => `lb as ${prefix}${port} ${s}`),
    `lb rl set-shm ${v.dir}/shm`,
    "lb rl enable udp-timeout 3600",
    `lb rl set-vip b ${vip.rl}${way.port ? " udp 80" : ""} ${way.rl} mode sed`,
    `lb rl set-servers ${ours.join(" ")}`,
  ]);
  await stream(v, "lb", vip.lb, at.flows);
  await stream(v, "rl", vip.rl, at.flows);
  for (const s of ["lb", "rl"]) await measure(v, s, 50, 300);
}

const untracked = async (v: Vpp): Promise<number> =>
  Number(/untracked packet: (\d+)/.exec(await v.cli("show lb vips verbose"))?.[1] ?? 0);

function leg(v: Vpp, way: Way, s: string): Promise<number> {
  const family = way.six ? 6 : 4;
  const node = s === "lb" ? way.node : `lb-rl-ip${family}`;
  return steady(async () => {
    const m = await measure(v, s, 25, 15);
    if (!m.has(node)) throw new Error(`no packet came to ${node}`);
    return sum(m, [node, `ip${family}-load-balance`]);
  });
}

const median = (x: number[]): string => ([...x].sort((p, q) => p - q)[x.length >> 1] ?? 0).toFixed(0);

async function versus(o: BenchOptions, c: Case): Promise<void> {
  const v = await start(16, c.build);
  try {
    await both(v, c.way, c.at);
    const ratios: number[] = [];
    const self: number[] = [];
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let i = 0; i < (o.quick ? 6 : 20); i++) {
      const at: number[] = [];
      for (const s of ["lb", "rl", "rl", "lb"]) at.push(await leg(v, c.way, s));
      const [a, b, d, e] = at as [number, number, number, number];
      ratios.push((b + d) / (a + e));
      self.push(b / d);
      ours.push(b, d);
      theirs.push(a, e);
    }
    const frame = c.way.six ? 84 : 64;
    const note = `${c.at.flows} UDP flows, ${frame} B, ${c.way.rl.split(" ")[0]}: ours ${median(ours)}, lb ${median(theirs)} clocks (medians); lb ${c.at.buckets} buckets, ${await untracked(v)} untracked`;
    o.report(row(c.id, "x", c.bar, ratio(ratios), note));
    o.report(row(`${c.id}.self`, "x", "", ratio(self), "ours against ours"));
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
      "lb rl enable flows 1000000 udp-timeout 3600",
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
        exact(flows, 1),
        `of ${n} offered to one worker that has room for 1000000`,
      ),
    );
    o.report(row("vpp.untracked", "flows", "<= 0", exact(lost, 1), "beside them"));
  } finally {
    await v.stop();
  }
}

export const clocks: Group = {
  ids: [...CASES.map((c) => c.id), "vpp.flows_held", "vpp.untracked"],
  async run(o) {
    const why = await absent();
    if (why !== undefined) {
      for (const id of this.ids) o.report(row(id, "x", "", null, why));
      return;
    }
    for (const c of CASES) if (o.wants(c.id)) await versus(o, c);
    if (o.wants("vpp.flows_held") || o.wants("vpp.untracked")) await held(o);
  },
};
