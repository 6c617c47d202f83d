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
  /** The strategy's options, and what the row says of them. */
  as?: { options: string; words: string };
  figure: "mean" | "p99";
  over: string;
  bar: string;
}

const hint = { options: "@trust=hint", words: "trust hint (as shipped), own counts only" };
const shared = { options: "@gossip=20", words: "envelope off, counts published every 20 ms" };
const lossy = {
  options: "@gossip=20:5:0.02@trust=hint",
  words: "trust hint, counts published every 20 ms, 5 ms late, 2 % of them lost",
};

function barsOf(): Bar[] {
  const m = marl();
  const rows = (id: string, over: string, mean: string, p99: string, as?: Bar["as"]): Bar[] => [
    { id: `policy.${id}.mean_vs_${name(over)}`, model: m, ...(as ? { as } : {}), figure: "mean", over, bar: mean },
    { id: `policy.${id}.p99_vs_${name(over)}`, model: m, ...(as ? { as } : {}), figure: "p99", over, bar: p99 },
  ];
  return [
    ...rows("family.marl", oracle, "<= 1.08", "<= 1.105"),
    ...rows("family.marl_hint", oracle, "<= 1.07", "<= 1.09", hint),
    ...rows("family.marl_gossip", oracle, "<= 1.065", "<= 1.08", shared),
    ...rows("counts20ms.marl", oracle, "<= 1.055", "<= 1.065", lossy),
    ...rows("family.marl", sed, "<= 0.80", "<= 0.73"),
    ...rows("family.marl", kalman, "<= 0.96", "<= 0.94"),
    { id: "policy.family.sac_gru.mean_vs_kalman", model: sacGru(), figure: "mean", over: kalman, bar: "<= 0.98" },
    { id: "policy.family.qmix.mean_vs_kalman", model: qmix(), figure: "mean", over: kalman, bar: "<= 0.985" },
  ];
}

const name = (strategy: string) => (strategy === kalman ? "kalman" : strategy.toLowerCase());
const strategyOf = (b: Bar) => b.model.strategy && `${b.model.strategy}${b.as?.options ?? ""}`;

export const family: Group = {
  ids: ["policy.family.", "policy.counts20ms."],
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
      const note = `family v1, n = ${n}, ${b.as?.words ?? "envelope off, own counts only"}${extra}`;
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
