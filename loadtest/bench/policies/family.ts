// SPDX-License-Identifier: Apache-2.0
// policy.family.* rows: the models on family v1, envelope off, own counts only unless the row says gossip; one paired run.
import type { BenchOptions, Group } from "../harness.js";
import { row } from "../row.js";
import { heuristics, others } from "./baselines.js";
import { absent, type Model, marl, qmix, sacGru } from "./models.js";
import { bars as drawBars } from "./plot.js";
import { estimate, type FamilyStrategy, of, family as runFamily } from "./sim.js";

const oracle = "oracle";
const sed = "SED";
const kalman = "kalman+sed";
/** The base of sac_gru and qmix: what they are with the network's output zeroed. */
const base = "static+sed@kappa=1/M";

const peers: Record<string, string> = {
  awcmp: "AWCMP",
  kalman_v1: "kalman-v1+sed",
  ...Object.fromEntries([...heuristics, ...others].map((b) => [b.id, b.strategy])),
};

interface Bar {
  id: string;
  model: Model;
  gossip?: boolean;
  figure: "mean" | "p99";
  over: string;
  bar: string;
}

function barsOf(): Bar[] {
  const m = marl();
  const rows = (id: string, over: string, mean: string, p99: string, gossip = false): Bar[] => [
    { id: `policy.family.${id}.mean_vs_${name(over)}`, model: m, gossip, figure: "mean", over, bar: mean },
    { id: `policy.family.${id}.p99_vs_${name(over)}`, model: m, gossip, figure: "p99", over, bar: p99 },
  ];
  return [
    ...rows("marl", oracle, "<= 1.08", "<= 1.105"),
    ...rows("marl_gossip", oracle, "<= 1.065", "<= 1.08", true),
    ...rows("marl", sed, "<= 0.80", "<= 0.73"),
    ...rows("marl", kalman, "<= 0.96", "<= 0.94"),
    { id: "policy.family.sac_gru.mean_vs_kalman", model: sacGru(), figure: "mean", over: kalman, bar: "<= 1.00" },
    { id: "policy.family.qmix.mean_vs_kalman", model: qmix(), figure: "mean", over: kalman, bar: "<= 1.03" },
  ];
}

const name = (strategy: string) => (strategy === kalman ? "kalman" : strategy.toLowerCase());
const strategyOf = (b: Bar) => (b.model.strategy && b.gossip ? `${b.model.strategy}@gossip=20` : b.model.strategy);

export const family: Group = {
  ids: ["policy.family."],
  async run(o: BenchOptions) {
    const n = o.quick ? 100 : 2000;
    const rows = barsOf();
    const models = rows.filter((b) => o.wants(b.id)).map(strategyOf);
    const wanted = new Set([oracle, sed, kalman, base, ...Object.values(peers), ...models.filter((s) => s !== null)]);
    o.progress(`family v1: ${n} scenarios, ${wanted.size} strategies`);
    const f = await runFamily({ n, strategies: [...wanted], references: [oracle, sed, kalman] });

    const zeroed = of(f.strategies, base).over[kalman] as FamilyStrategy["over"][string];
    for (const b of rows) {
      const s = strategyOf(b);
      const extra =
        b.model.id === "marl"
          ? ""
          : `, base: configured weights; with the network's output zeroed ${zeroed.mean.value.toFixed(3)}`;
      const note = `family v1, n = ${n}, envelope off${b.gossip ? ", counts published every 20 ms" : ", own counts only"}${extra}`;
      const e = s && f.strategies.some((x) => x.strategy === s) ? of(f.strategies, s).over[b.over] : undefined;
      o.report(row(b.id, "ratio", b.bar, e ? estimate(e[b.figure], n) : null, e ? note : absent(b.model)));
    }
    for (const [id, strategy] of Object.entries(peers)) {
      const s = of(f.strategies, strategy);
      for (const figure of ["mean", "p99"] as const)
        o.report(row(`policy.family.${id}.${figure}_vs_oracle`, "ratio", "", estimate(s[figure], n), `family v1, n = ${n}`));
    }
    const label = (s: string) => s.replace(/model:.*?([^/]+)\.onnx/, "$1");
    drawBars(
      o,
      "family",
      `COMPLETION TIME OVER THE ORACLE'S, FAMILY V1, N = ${n}, 95 %`,
      ["MEAN", "P99"],
      f.strategies.map((s) => ({
        label: label(s.strategy),
        bars: [s.mean, s.p99],
      })),
    );
  },
};
