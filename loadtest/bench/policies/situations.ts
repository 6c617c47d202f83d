// SPDX-License-Identifier: Apache-2.0
// Rows on the files of native/sim/scenarios/v2: the worst of all, and the situations that once were lost, each against what it was lost to.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "../../../services/common/root.js";
import type { BenchOptions, Group } from "../harness.js";
import { exact, ratio, row } from "../row.js";
import { heuristics, strategiesOf } from "./baselines.js";
import { absent, marl } from "./models.js";
import { type Named, type NamedStrategy, of, file as runFile } from "./sim.js";

const folder = path.join(projectRoot, "native", "sim", "scenarios", "v2");
const worstId = "policy.named2.marl.worst_vs_best";
const holeId = "policy.hole.marl.share_over_fair";

/** Files by the beginning of their names; right weights where SED is the measure. */
const againstSed = {
  "policy.keepalive.marl.vs_sed": { files: /^(a1|a3|a6|a7|a8|s14|s39)-/, bar: "<= 1.00" },
  "policy.rtt.marl.vs_sed": { files: /^(f1|f2|f3|f4|s15)-/, bar: "<= 1.00" },
  "policy.bigsmall.marl.vs_sed": { files: /^(i1|i3|i4)-/, bar: "<= 1.02" },
} as const;
/** Long runs: left out of a quick look. */
const slow = /^(a5|e7|g1|h|s02|s03|s06|s07|s08|s09|s10|s11|s12|s13|s14)-/;
const holes = /^(e1|e2|e4|e6|e7|e8|e9|s33|s34|s35)-/;

interface Scenario {
  duration_s?: number;
  warmup_s?: number;
  servers: { count?: number; cores: number; speed?: number; weight?: number }[];
  faults?: { server: number; for_s: number }[];
}

const nameOf = (f: string): string => f.replace(/\.json$/, "");
const mean = (list: readonly NamedStrategy[], s: string): number => of(list, s).mean_ms;

/** Share of the requests that the failing server drew while it failed, over its share of the configured weights. */
export function shareOverFair(sc: Scenario, s: NamedStrategy): number {
  const fault = sc.faults?.[0];
  if (!fault) throw new Error("the scenario has no fault");
  const weights = sc.servers.flatMap((g) => new Array<number>(g.count ?? 1).fill(g.weight ?? g.cores * (g.speed ?? 1)));
  const fair = (weights[fault.server] as number) / weights.reduce((a, b) => a + b, 0);
  const measured = (sc.duration_s ?? 75) - (sc.warmup_s ?? 15);
  return s.failed / (((s.flows + s.failed) * fault.for_s) / measured) / fair;
}

interface Result {
  name: string;
  named: Named;
  marl: number;
  best: number;
  over: number;
}

async function runAll(o: BenchOptions, files: readonly string[], strategy: string): Promise<Map<string, Result>> {
  const results = new Map<string, Result>();
  const seeds = o.quick ? 1 : 4;
  for (const f of files) {
    o.progress(`${nameOf(f)}: ${seeds} seeds`);
    const named = await runFile(path.join(folder, f), {
      strategies: [...strategiesOf(heuristics), strategy],
      reference: "SED",
      seeds,
    });
    const best = Math.min(...heuristics.map((h) => mean(named.strategies, h.strategy)));
    const own = mean(named.strategies, strategy);
    results.set(f, { name: nameOf(f), named, marl: own, best, over: own / best });
  }
  return results;
}

function reportHole(o: BenchOptions, results: readonly Result[], strategy: string): void {
  const shares = results.map((r) => {
    const sc = JSON.parse(readFileSync(path.join(folder, `${r.name}.json`), "utf8")) as Scenario;
    const share = (s: string) => shareOverFair(sc, of(r.named.strategies, s));
    return { name: r.name, own: share(strategy), sed: share("SED"), kalman: share("kalman+sed") };
  });
  const worst = shares.reduce((a, b) => (b.own > a.own ? b : a));
  const list = shares.map((s) => `${s.name} ${s.own.toFixed(2)} (SED ${s.sed.toFixed(2)}, Kalman ${s.kalman.toFixed(2)})`);
  const note = `worst is ${worst.name}; a server that fails fast; its share of the flows over its share of the weights: ${list.join(", ")}`;
  o.report(row(holeId, "ratio", "<= 1.0", exact(worst.own, shares.length), note));
}

function reportSed(o: BenchOptions, id: keyof typeof againstSed, results: readonly Result[]): void {
  const over = results.map((r) => r.marl / mean(r.named.strategies, "SED"));
  const list = results.map((r, i) => `${r.name} ${(over[i] as number).toFixed(3)}`).join(", ");
  o.report(row(id, "ratio", againstSed[id].bar, ratio(over), `trust hint, geometric mean over SED's means: ${list}`));
}

export const situations: Group = {
  ids: [worstId, holeId, ...Object.keys(againstSed)],
  async run(o: BenchOptions) {
    const m = marl();
    const strategy = m.strategy && `${m.strategy}@trust=hint`;
    const all = readdirSync(folder).filter((f) => f.endsWith(".json"));
    const sedIds = Object.keys(againstSed) as (keyof typeof againstSed)[];
    if (!strategy) {
      for (const id of [worstId, holeId, ...sedIds]) o.report(row(id, "ratio", "", null, absent(m)));
      return;
    }
    const wanted = (f: string): boolean =>
      o.wants(worstId) || (o.wants(holeId) && holes.test(f)) || sedIds.some((id) => o.wants(id) && againstSed[id].files.test(f));
    const files = all.filter((f) => wanted(f) && !(o.quick && slow.test(f)));
    const results = await runAll(o, files, strategy);
    const some = (pattern: RegExp): Result[] => [...results].filter(([f]) => pattern.test(f)).map(([, r]) => r);
    if (o.wants(worstId)) {
      const order = [...results.values()].sort((a, b) => b.over - a.over);
      const worst = order[0] as Result;
      const list = order.map((r) => `${r.name} ${r.over.toFixed(3)}`).join(", ");
      const note = `${order.length} files, trust hint, over the best of ${heuristics.length} heuristics in hindsight: ${list}`;
      o.report(row(worstId, "ratio", "<= 1.03", exact(worst.over, order.length), note));
    }
    if (o.wants(holeId)) reportHole(o, some(holes), strategy);
    for (const id of sedIds) if (o.wants(id)) reportSed(o, id, some(againstSed[id].files));
  },
};
