// SPDX-License-Identifier: Apache-2.0
// tcp.* rows: marllb-dp against the better of HAProxy and nginx, row by row, on this machine, one thread each.
import os from "node:os";
import { Child } from "../../../testbed/process.js";
import type { BenchOptions, Group } from "../harness.js";
import { type LoadOptions, load, loadCommand, startOrigin } from "../load.js";
import { type Against, type Estimate, mean, ratio, row } from "../row.js";
import { alternate, compare, type Figures, level, type Measured, worst } from "./rounds.js";
import { absent, startTarget, type Target, type TargetKind } from "./targets.js";

const cores = os.availableParallelism();
const peers = ["haproxy", "nginx"] as const;
const present = () => peers.filter((p) => absent(p) === null);

interface Spec {
  /** Row name behind "tcp.<workload>.". */
  suffix: string;
  figure: string;
  unit: string;
  bar: string;
  against: Against;
  lowerIsBetter: boolean;
}

interface Workload {
  name: string;
  load: LoadOptions;
  rounds: number;
  rows: readonly Spec[];
}

const cpu: Spec = {
  suffix: "cpu_per_request.vs_peer",
  figure: "cpu_us",
  unit: "ratio",
  bar: "<= 0.95",
  against: "value",
  lowerIsBetter: true,
};
const p99: Spec = {
  suffix: "p99.vs_peer",
  figure: "p99_us",
  unit: "ratio",
  bar: "<= 1.0",
  against: "value",
  lowerIsBetter: true,
};
const rate: Spec = {
  suffix: "rate.vs_peer",
  figure: "rate",
  unit: "ratio",
  bar: ">= 1.0",
  against: "high",
  lowerIsBetter: false,
};
const bulk: Spec = { ...cpu, suffix: "cpu_per_gb.vs_peer", figure: "cpu_s_per_gb", bar: "<= 1.0" };

/**
 * Many short rounds where the ratio of CPU times is near its bar: the machine's speed drifts within seconds, and a round is one pair.
 * Fixed rates are about a third of what one thread of the slowest target does on two cores of 2020's servers.
 */
const workloads: readonly Workload[] = [
  { name: "new", load: { mode: "new", rate: 3000, seconds: 0.5, warmup: 0, bytes: 512 }, rounds: 50, rows: [cpu, p99] },
  {
    name: "keepalive",
    load: { mode: "keepalive", rate: 10000, conns: 64, seconds: 0.5, warmup: 0.05, bytes: 512 },
    rounds: 50,
    rows: [cpu, p99],
  },
  { name: "new", load: { mode: "new", conns: 64, seconds: 1, warmup: 0.2, bytes: 512 }, rounds: 10, rows: [rate] },
  { name: "keepalive", load: { mode: "keepalive", conns: 64, seconds: 1, warmup: 0.2, bytes: 512 }, rounds: 10, rows: [rate] },
  { name: "bulk", load: { mode: "bulk", conns: 4, seconds: 1, warmup: 0, bytes: 64 << 20 }, rounds: 10, rows: [bulk] },
];

async function visit(t: Target, w: Workload, seed: number): Promise<Figures> {
  const before = t.cpuNs();
  const r = await load(t.address, { ...w.load, seed }, cores);
  const ns = t.cpuNs() - before;
  const whole = (w.load.warmup ?? 0) + (w.load.seconds ?? 1);
  if (r.errors + r.timeouts > 0)
    throw new Error(`${t.name}: ${r.errors} errors, ${r.timeouts} time-outs in ${JSON.stringify(w.load)}`);
  const requests = (r.requests * whole) / (w.load.seconds ?? 1);
  return {
    cpu_us: ns / 1000 / requests,
    cpu_s_per_gb: ns / 1e9 / (r.bytes / 1e9),
    p99_us: r.p99_us,
    rate: r.requests / r.seconds,
  };
}

function report(o: BenchOptions, w: Workload, s: Spec, m: Measured, here: readonly string[]): void {
  const id = `tcp.${w.name}.${s.suffix}`;
  const own = level(m, "marllb", s.figure);
  if (here.length === 0) {
    o.report(row(id, s.unit, s.bar, null, peers.map((p) => absent(p)).join("; ")));
  } else {
    const { peer, e } = worst(
      here.map((peer) => ({ peer, e: compare(m, "marllb", peer, s.figure) })),
      s.lowerIsBetter,
    );
    const levels = ["marllb", ...here].map((n) => `${n} ${level(m, n, s.figure).toPrecision(4)}`).join(", ");
    const missing = peers.map((p) => absent(p)).filter(Boolean);
    o.report(row(id, s.unit, s.bar, e, [`better peer: ${peer}; ${s.figure}: ${levels}`, ...missing].join("; "), s.against));
  }
  o.report(
    row(`${id}.self`, s.unit, "", compare(m, "marllb", "self", s.figure), `two of ours; ${s.figure} ${own.toPrecision(4)}`),
  );
  if (o.before) {
    const note = `${s.figure}: ${own.toPrecision(4)}, before ${level(m, "before", s.figure).toPrecision(4)}`;
    o.report(row(id.replace("vs_peer", "vs_before"), s.unit, "", compare(m, "marllb", "before", s.figure), note));
  }
}

async function rssPerConnection(kind: TargetKind, originPort: number, conns: number): Promise<number> {
  const t = await startTarget(kind, originPort);
  try {
    await load(t.address, { mode: "keepalive", conns: 64, rate: 0, seconds: 0.3, warmup: 0, bytes: 512 }, cores);
    const before = t.residentBytes();
    const holder = new Child(loadCommand(t.address, { mode: "idle", conns, bytes: 512 }, cores));
    const { held } = JSON.parse(await holder.line(60_000)) as { held: number };
    const after = t.residentBytes();
    await holder.stop();
    if (held !== conns) throw new Error(`${kind}: ${held} of ${conns} connections held`);
    return (after - before) / conns;
  } finally {
    await t.stop();
  }
}

async function rss(o: BenchOptions, originPort: number): Promise<void> {
  const id = "tcp.rss_per_conn.vs_peer";
  const here = present();
  const conns = o.quick ? 2000 : 9000;
  const seen = new Map<TargetKind, number[]>();
  for (let i = 0; i < 3; i++) {
    for (const kind of ["marllb", ...here] as const)
      seen.set(kind, [...(seen.get(kind) ?? []), await rssPerConnection(kind, originPort, conns)]);
  }
  const own = seen.get("marllb") as number[];
  if (here.length === 0) {
    o.report(row(id, "ratio", "<= 1.0", null, `${mean(own).value.toFixed(0)} B ours; ${peers.map((p) => absent(p)).join("; ")}`));
    return;
  }
  const ratios = here.map((peer) => ({
    peer,
    e: ratio(own.map((v, i) => Math.max(v, 1) / (seen.get(peer)?.[i] as number))) as Estimate,
  }));
  const { peer, e } = worst(ratios, true);
  const levels = [...seen].map(([k, v]) => `${k} ${mean(v).value.toFixed(0)} B`).join(", ");
  o.report(row(id, "ratio", "<= 1.0", e, `${conns} idle connections; better peer: ${peer}; ${levels}`));
}

async function startTargets(originPort: number, before?: string): Promise<Target[]> {
  const targets: Target[] = [];
  const kinds = ["marllb", ...present(), "marllb"] as const;
  try {
    if (before) {
      targets.push(await startTarget("marllb", originPort, { checkout: before }));
      (targets[0] as Target).name = "before";
    }
    for (const k of kinds) targets.push(await startTarget(k, originPort));
  } catch (e) {
    await stopTargets(targets);
    throw e;
  }
  (targets.at(-1) as Target).name = "self";
  return targets;
}

const stopTargets = (targets: readonly Target[]): Promise<unknown> => Promise.all(targets.map((t) => t.stop()));

/** Where a process happens to lie in memory makes it a few percent quicker or slower for its life: every few rounds all begin anew. */
const LIVES = 5;

async function measure(o: BenchOptions, w: Workload, originPort: number): Promise<void> {
  const all = o.quick ? 3 : w.rounds;
  const lives = o.quick ? 1 : LIVES;
  const m: Measured = { rounds: [] };
  for (let life = 0; life < lives; life++) {
    const targets = await startTargets(originPort, o.before);
    if (life === 0) o.progress(`tcp ${w.name} ${JSON.stringify(w.load)}: ${targets.map((t) => t.version || t.name).join(" | ")}`);
    try {
      const first = m.rounds.length;
      const count = Math.round((all * (life + 1)) / lives) - first;
      m.rounds.push(...(await alternate(targets, first, count, (t, seed) => visit(t, w, seed))).rounds);
    } finally {
      await stopTargets(targets);
    }
  }
  for (const s of w.rows) report(o, w, s, m, present());
}

/** What a PROXY header for the server costs: two of ours, one sends it, to an origin that takes it; each connection has one request. */
async function proxyProtocol(o: BenchOptions, plainPort: number): Promise<void> {
  const w = workloads[0] as Workload;
  const origin = await startOrigin(cores, "--accept-proxy");
  const m: Measured = { rounds: [] };
  try {
    const all = o.quick ? 3 : w.rounds;
    const lives = o.quick ? 1 : LIVES;
    for (let life = 0; life < lives; life++) {
      const targets: Target[] = [];
      try {
        targets.push(await startTarget("marllb", plainPort));
        targets.push({ ...(await startTarget("marllb", origin.port, { vip: "send-proxy v2" })), name: "proxy" });
        const first = m.rounds.length;
        const count = Math.round((all * (life + 1)) / lives) - first;
        m.rounds.push(...(await alternate(targets, first, count, (t, seed) => visit(t, w, seed))).rounds);
      } finally {
        await stopTargets(targets);
      }
    }
  } finally {
    await origin.child.stop();
  }
  const note = `cpu_us: plain ${level(m, "marllb", "cpu_us").toPrecision(4)}, send-proxy v2 ${level(m, "proxy", "cpu_us").toPrecision(4)}`;
  o.report(row("tcp.proxy_protocol.cpu_vs_plain", "ratio", "<= 1.02", compare(m, "proxy", "marllb", "cpu_us"), note, "value"));
}

export const tcp: Group = {
  ids: ["tcp.new", "tcp.keepalive", "tcp.bulk", "tcp.rss_per_conn", "tcp.proxy_protocol"],
  async run(o) {
    const origin = await startOrigin(cores);
    try {
      for (const w of workloads.filter((x) => x.rows.some((s) => o.wants(`tcp.${x.name}.${s.suffix}`))))
        await measure(o, w, origin.port);
      if (o.wants("tcp.proxy_protocol.cpu_vs_plain")) await proxyProtocol(o, origin.port);
      if (o.wants("tcp.rss_per_conn.vs_peer")) await rss(o, origin.port);
    } finally {
      await origin.child.stop();
    }
  },
};
