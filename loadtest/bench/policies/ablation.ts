// SPDX-License-Identifier: Apache-2.0
// policy.ablation.*: what the parts of the default model give, on both families, over the oracle: Kalman alone (the network zeroed), Kalman with
// the strata, the whole through the envelope as shipped and without it, and what true capacities and shared counts would give.
import type { BenchOptions, Group } from "../harness.js";
import { row } from "../row.js";
import { marl } from "./models.js";
import { bars as drawBars } from "./plot.js";
import { estimate, of, family as runFamily, selectionSeed } from "./sim.js";

function parts(): { id: string; name: string; strategy: string }[] {
  const m = marl().strategy;
  const list = [
    { id: "configured", name: "configured weights, kappa 1/M", strategy: "static+sed@kappa=1/M" },
    { id: "kalman", name: "Kalman alone: the network zeroed", strategy: "kalman+sed" },
    { id: "strata", name: "Kalman and strata, no network", strategy: "strata+sed" },
    { id: "true", name: "true capacities, kappa 1/M", strategy: "true+sed@kappa=1/M" },
    { id: "kalman_counts", name: "Kalman, counts shared each 20 ms", strategy: "kalman+sed@gossip=20" },
  ];
  if (!m) return list;
  return [
    ...list,
    { id: "marl", name: "marl, no envelope", strategy: m },
    { id: "marl_hint", name: "marl, trust hint (as shipped)", strategy: `${m}@trust=hint` },
    { id: "marl_exact", name: "marl, trust exact", strategy: `${m}@trust=exact` },
    { id: "marl_counts", name: "marl, counts shared each 20 ms", strategy: `${m}@gossip=20` },
  ];
}

export const ablation: Group = {
  ids: ["policy.ablation."],
  async run(o: BenchOptions) {
    const n = o.quick ? 100 : 500;
    for (const name of ["v1", "v2"] as const) {
      const list = parts();
      o.progress(`ablation: family ${name}, ${n} scenarios, ${list.length} strategies`);
      const strategies = ["oracle", ...list.map((p) => p.strategy)];
      const f = await runFamily({ name, n, seed: selectionSeed, strategies, references: ["oracle"] });
      for (const p of list) {
        const s = of(f.strategies, p.strategy);
        const note = `${p.name}; family ${name}, selection seed, n = ${n}; p99 ${s.p99.value.toFixed(3)}`;
        o.report(row(`policy.ablation.${name}.${p.id}`, "ratio", "", estimate(s.mean, n), note));
      }
      const bars = list.map((p) => ({
        label: p.name,
        bars: [of(f.strategies, p.strategy).mean, of(f.strategies, p.strategy).p99],
      }));
      drawBars(o, `ablation-${name}`, `OVER THE ORACLE, FAMILY ${name.toUpperCase()}, N = ${n}, 95 %`, ["MEAN", "P99"], bars);
    }
  },
};
