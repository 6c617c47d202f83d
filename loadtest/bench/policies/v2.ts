// SPDX-License-Identifier: Apache-2.0
// policy.v2.*: family v2 (docs/scenarios.md), models as shipped (trust: hint), over the best heuristic of each scenario in hindsight.
import type { BenchOptions, Group } from "../harness.js";
import { type Estimate, exact, row } from "../row.js";
import { heuristics, others, strategiesOf, truths } from "./baselines.js";
import { absent, type Model, marl, qmix, sacGru } from "./models.js";
import { bars as drawBars } from "./plot.js";
import { estimate, type FamilyStrategy, type Over, of, family as runFamily, testSeedV2 } from "./sim.js";

const trust = "@trust=hint";
const shipped = (m: Model): string | null => m.strategy && `${m.strategy}${trust}`;
const label = (s: string): string => s.replace(/model:.*?([^/]+)\.onnx\+sed/, "$1");

function reportModel(o: BenchOptions, m: Model, f: FamilyStrategy | null, n: number): void {
  const b = f?.best;
  const note = f && b ? `family v2, n = ${n}, trust hint; worst tenth of p99 ${b.p99_worst_tenth.toFixed(3)}` : absent(m);
  const id = `policy.v2.${m.id}`;
  const bars = m.id === "marl" ? ["<= 0.97", "<= 0.95", "<= 1.03"] : ["", "", ""];
  const figures: [string, Estimate | null][] = [
    ["mean_vs_best_heuristic", b ? estimate(b.mean, n) : null],
    ["p99_vs_best_heuristic", b ? estimate(b.p99, n) : null],
    ["worst10_vs_best_heuristic", b ? exact(b.mean_worst_tenth, n) : null],
  ];
  for (const [i, [figure, e]] of figures.entries()) o.report(row(`${id}.${figure}`, "ratio", bars[i] as string, e, note));
}

function reportAgainstSed(o: BenchOptions, m: Model, f: FamilyStrategy, n: number): void {
  const sed = f.over.SED as Over;
  const note = `family v2, n = ${n}, trust hint; geometric mean ${sed.mean.value.toFixed(3)}`;
  o.report(row(`policy.v2.${m.id}.worst10_vs_sed`, "ratio", "<= 1.10", exact(sed.mean_worst_tenth, n), note));
}

export const v2: Group = {
  ids: ["policy.v2."],
  async run(o: BenchOptions) {
    const n = o.quick ? 200 : 2000;
    const models = [marl(), sacGru(), qmix()];
    const baselines = [...heuristics, ...others, ...truths];
    const strategies = [...strategiesOf(baselines), ...models.map(shipped).filter((s) => s !== null)];
    o.progress(`family v2: ${n} scenarios, ${strategies.length} strategies`);
    const f = await runFamily({
      name: "v2",
      n,
      seed: testSeedV2,
      strategies,
      references: ["oracle", "SED"],
      best: strategiesOf(heuristics),
    });
    for (const m of models) {
      const s = shipped(m);
      const found = s ? of(f.strategies, s) : null;
      reportModel(o, m, found, n);
      if (found && m.id !== "marl") reportAgainstSed(o, m, found, n);
    }
    for (const b of baselines) {
      const s = of(f.strategies, b.strategy);
      const best = s.best as Over;
      const note = `family v2, n = ${n}; over the oracle ${s.mean.value.toFixed(3)}/${s.p99.value.toFixed(3)}; worst tenth ${best.mean_worst_tenth.toFixed(2)}; failed ${s.failed} of ${s.measured}`;
      o.report(row(`policy.v2.${b.id}.mean_vs_best_heuristic`, "ratio", "", estimate(best.mean, n), note));
      o.report(row(`policy.v2.${b.id}.p99_vs_best_heuristic`, "ratio", "", estimate(best.p99, n), note));
    }
    const title = `COMPLETION TIME OVER THE BEST HEURISTIC IN HINDSIGHT, FAMILY V2, N = ${n}, 95 %`;
    const best = (s: FamilyStrategy) => s.best as Over;
    const groups = f.strategies.map((s) => ({ label: label(s.strategy), bars: [best(s).mean, best(s).p99] }));
    drawBars(o, "v2", title, ["MEAN", "P99"], groups);
  },
};
