// SPDX-License-Identifier: Apache-2.0
// policy.capacity_at_p99.*: how much load a pool carries at the 99th percentile that least connections has at 70 %. Load is swept from 50 to
// 110 %, for 1 to 16 load balancers, simulated.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { BenchOptions, Group } from "../harness.js";
import { ratio, row } from "../row.js";
import type { Baseline } from "./baselines.js";
import { absent, marl } from "./models.js";
import { type Line, lines } from "./plot-lines.js";
import { of, file as runFile, testSeed } from "./sim.js";

const reference = 0.7;
const balancers = [1, 2, 4, 8, 16];
export const capacityStrategies: readonly Baseline[] = [
  { id: "leastconn", name: "least connections", strategy: "LSQ" },
  { id: "sed", name: "SED", strategy: "SED" },
  { id: "peak_ewma", name: "peak EWMA, two choices", strategy: "peak-ewma+p2c" },
  { id: "prequal", name: "Prequal", strategy: "Prequal" },
  { id: "kalman", name: "Kalman", strategy: "kalman+sed" },
];

const marlOf = (strategy: string): Baseline => ({ id: "marl", name: "marl", strategy });
const idOf = (s: Baseline, right: boolean): string =>
  `policy.capacity_at_p99.${s.id}_vs_${right ? "sed_right_weights" : "leastconn"}`;

/** Three generations of machines and noisy neighbours: what a pool is after some years. */
function pool(load: number, lbs: number, rightWeights: boolean): object {
  const group = (count: number, cores: number) => ({ count, cores, ...(rightWeights ? {} : { weight: 1 }) });
  return {
    name: "capacity",
    servers: [group(8, 2), group(6, 4), group(2, 8)],
    load,
    load_balancers: lbs,
    sizes: { kind: "lognormal", mean_ms: 50, sigma: 1 },
    noisy: { share: 0.1, duration_s: 4 },
    duration_s: 60,
    warmup_s: 12,
  };
}

/** p99 by load. */
export type Curve = { load: number; p99: number }[];

const between = (a: number, b: number, part: number): number => a + (b - a) * part;

/** The greatest load at which the curve is at or below a level. Between points its logarithm is linear; it ends at its first and last load. */
export function loadAt(curve: Curve, level: number): number {
  const i = curve.findLastIndex((p) => p.p99 <= level);
  const [a, b] = [curve[i], curve[i + 1]];
  if (!a || !b) return (a ?? b)?.load ?? Number.NaN;
  return between(a.load, b.load, Math.log(level / a.p99) / Math.log(b.p99 / a.p99));
}

export function valueAt(curve: Curve, load: number): number {
  const i = curve.findIndex((p) => p.load >= load - 1e-9);
  const [a, b] = [curve[i - 1] ?? curve[i], curve[i]];
  if (!a || !b) throw new Error(`no point at load ${load}`);
  if (b.load - load < 1e-9) return b.p99; /* as measured: rounding must not put it below its own level */
  return a === b ? b.p99 : Math.exp(between(Math.log(a.p99), Math.log(b.p99), (load - a.load) / (b.load - a.load)));
}

async function sweep(
  o: BenchOptions,
  folder: string,
  list: readonly string[],
  lbs: number,
  right: boolean,
): Promise<Map<string, Curve>> {
  const loads = o.quick ? [0.5, 0.7, 0.85, 0.95, 1.1] : [0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1];
  const curves = new Map<string, Curve>(list.map((s) => [s, []]));
  for (const load of loads) {
    o.progress(`capacity: load ${load}, ${lbs} load balancers, weights ${right ? "right" : "equal"}`);
    const file = path.join(folder, "capacity.json");
    writeFileSync(file, JSON.stringify(pool(load, lbs, right)));
    const r = await runFile(file, { strategies: list, reference: "LSQ", seeds: o.quick ? 2 : 6, seed: testSeed });
    for (const s of list) curves.get(s)?.push({ load, p99: of(r.strategies, s).p99_ms });
  }
  return curves;
}

const curveOf = (curves: Map<string, Curve>, s: string): Curve => curves.get(s) as Curve;

/** Load at the level that `base` has at the reference, over the reference. */
function gain(curves: Map<string, Curve>, strategy: string, base: string): number {
  return loadAt(curveOf(curves, strategy), valueAt(curveOf(curves, base), reference)) / reference;
}

function draw(o: BenchOptions, curves: Map<string, Curve>, names: readonly Baseline[], lbs: number, right: boolean): void {
  const title = `P99 OVER LOAD, ${lbs} LOAD BALANCERS, WEIGHTS ${right ? "RIGHT" : "EQUAL"}`;
  const list: Line[] = names.map((n) => ({
    label: n.name,
    points: curveOf(curves, n.strategy).map((p) => [p.load, p.p99] as const),
  }));
  lines(o, `capacity-${right ? "right" : "equal"}-${lbs}`, title, "LOAD", "P99, MS", list);
}

export const capacity: Group = {
  ids: ["policy.capacity_at_p99."],
  async run(o: BenchOptions) {
    const m = marl();
    const shipped = m.strategy && `${m.strategy}@trust=hint`;
    const all = [...capacityStrategies, ...(shipped ? [marlOf(shipped)] : [])];
    const list = all.map((s) => s.strategy);
    const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-capacity-"));
    try {
      for (const right of [false, true]) {
        const base = right ? "SED" : "LSQ";
        const gains = new Map<string, number[]>(list.map((s) => [s, []]));
        for (const lbs of o.quick ? [1, 4] : balancers) {
          const curves = await sweep(o, folder, list, lbs, right);
          for (const s of list) gains.get(s)?.push(gain(curves, s, base));
          draw(o, curves, all, lbs, right);
        }
        const counted = `by number of load balancers (${(o.quick ? [1, 4] : balancers).join(" ")})`;
        for (const s of all) {
          const g = gains.get(s.strategy) as number[];
          const note = `load over ${reference} at the p99 that ${right ? "SED" : "least connections"} has at ${reference}, ${counted}: ${g.map((x) => x.toFixed(2)).join(" ")}`;
          o.report(row(idOf(s, right), "ratio", s.id === "marl" && !right ? ">= 1.25" : "", ratio(g), note));
        }
        if (!shipped) o.report(row(idOf(marlOf(""), right), "ratio", right ? "" : ">= 1.25", null, absent(m)));
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
