// SPDX-License-Identifier: Apache-2.0
// Rows on the named scenarios: worst against SED where weights are right, Jain's index, ticks, 1024 servers, adversaries.
import type { BenchOptions, Group } from "../harness.js";
import { exact, row } from "../row.js";
import { absent, marl } from "./models.js";
import { bars as drawBars } from "./plot.js";
import { estimate, type Interval, of, named as runNamed } from "./sim.js";

const rightWeights = [
  ..."wiki-62 wiki-83 wiki-90 wiki-95.5 exp-85 large-80 large-92 paper-wiki paper-large noisy-80 noisy-hetero-70".split(" "),
  ..."hang-75 pareto-80 burst-75 wan-85 hetero-speed-70 agents-16 rtt-spread two-vips sessions sparse".split(" "),
];
const trusts = { marl_exact: "exact", marl: "hint" } as const;
const worstIds = Object.keys(trusts).map((id) => `policy.named.${id}.worst_vs_sed`);
const seedsOf = (o: BenchOptions) => (o.quick ? 2 : 12);

interface Worst {
  where: string;
  ratio: Interval;
}
const worse = (a: Worst | null, where: string, ratio: Interval): Worst =>
  a && a.ratio.value >= ratio.value ? a : { where, ratio };

async function worstAgainstSed(o: BenchOptions): Promise<void> {
  const m = marl();
  if (!m.strategy) {
    for (const [i, id] of worstIds.entries()) o.report(row(id, "ratio", i ? "<= 1.08" : "<= 1.02", null, absent(m)));
    return;
  }
  const strategies = Object.values(trusts).map((t) => `${m.strategy}@trust=${t}`);
  const worst: (Worst | null)[] = [null, null];
  const all: { label: string; bars: Interval[] }[] = [];
  for (const name of rightWeights) {
    o.progress(`named: ${name}`);
    const r = await runNamed(name, { strategies: ["SED", ...strategies], reference: "SED", seeds: seedsOf(o) });
    const ratios = strategies.map((s) => of(r.strategies, s).mean_ratio);
    for (const [i, x] of ratios.entries()) worst[i] = worse(worst[i] ?? null, name, x);
    all.push({ label: name, bars: ratios });
  }
  for (const [i, id] of worstIds.entries()) {
    const w = worst[i] as Worst;
    const list = all.map((a) => `${a.label} ${(a.bars[i] as Interval).value.toFixed(3)}`).join(", ");
    const note = `worst is ${w.where}; trust ${Object.values(trusts)[i]}; means over SED's: ${list}`;
    o.report(row(id, "ratio", i ? "<= 1.08" : "<= 1.02", estimate(w.ratio, seedsOf(o)), note));
  }
  drawBars(o, "named", "MEAN COMPLETION TIME OVER SED'S, RIGHT WEIGHTS, 95 %", ["EXACT", "HINT"], all);
}

async function jain(o: BenchOptions): Promise<void> {
  const m = marl();
  const rows = [
    ["static", "wiki-90", ">= 0.99"],
    ["noisy", "noisy-80", ">= 0.89"],
    ["unknown", "unknown-80", ">= 0.89"],
  ] as const;
  for (const [id, scenario, bar] of rows) {
    if (!o.wants(`policy.jain.${id}`)) continue;
    const strategies = ["oracle", "SED", "kalman+sed", ...(m.strategy ? [m.strategy] : [])];
    const r = await runNamed(scenario, { strategies, reference: "oracle", seeds: seedsOf(o) });
    const list = strategies
      .slice(0, 3)
      .map((s) => `${s} ${of(r.strategies, s).jain.toFixed(3)}`)
      .join(", ");
    const v = m.strategy ? of(r.strategies, m.strategy).jain : null;
    const note = `${scenario}, mean jobs in 1 s over capacity, ${r.seeds} seeds, envelope off; ${list}`;
    o.report(
      row(`policy.jain.${id}`, "index", bar, v === null ? null : exact(v, r.seeds), v === null ? `${absent(m)}; ${note}` : note),
    );
  }
}

async function ticks(o: BenchOptions): Promise<void> {
  const m = marl();
  const strategy = m.strategy ?? "kalman+sed";
  const at = async (tickMs: number) => {
    o.progress(`unknown-80 with a tick of ${tickMs} ms`);
    const r = await runNamed("unknown-80", { strategies: ["oracle", strategy], reference: "oracle", seeds: seedsOf(o), tickMs });
    return of(r.strategies, strategy).mean_ratio;
  };
  const reference = await at(200);
  let worst: Worst | null = null;
  const seen: string[] = [];
  for (const t of [10, 50, 1000]) {
    const x = await at(t);
    const over = { value: x.value / reference.value, low: x.low / reference.value, high: x.high / reference.value };
    worst = worse(worst, `${t} ms`, over);
    seen.push(`${t} ms ${over.value.toFixed(4)}`);
  }
  const note = `unknown-80, ${strategy === m.strategy ? "marl" : strategy}: ${seen.join(", ")}; the oracle on the same arrivals takes out the seeds`;
  const e = worst && m.strategy ? estimate(worst.ratio, seedsOf(o)) : null;
  o.report(row("policy.tick.worst_vs_200ms", "ratio", "<= 1.02", e, m.strategy ? note : `${absent(m)}; ${note}`));
}

async function n1024(o: BenchOptions): Promise<void> {
  const m = marl();
  if (!m.strategy) {
    o.report(row("policy.n1024.mean_vs_kalman", "ratio", "<= 0.95", null, absent(m)));
    return;
  }
  o.progress("n1024");
  const seeds = o.quick ? 1 : 4;
  const r = await runNamed("n1024", { strategies: ["kalman+sed", m.strategy], reference: "kalman+sed", seeds });
  const x = of(r.strategies, m.strategy);
  o.report(
    row(
      "policy.n1024.mean_vs_kalman",
      "ratio",
      "<= 0.95",
      estimate(x.mean_ratio, seeds),
      `named n1024, ${x.flows} flows, envelope off`,
    ),
  );
}

async function adversary(o: BenchOptions): Promise<void> {
  const kinds = ["reverse", "chase", "flip", "herd"];
  const strategies = kinds.map((k) => `adversary:${k}+sed@trust=.2`);
  let worst: Worst | null = null;
  const seen: string[] = [];
  for (const name of ["wiki-90", "large-92"]) {
    o.progress(`adversaries: ${name}`);
    const r = await runNamed(name, { strategies: ["SED", ...strategies], reference: "SED", seeds: seedsOf(o) });
    for (const [i, s] of strategies.entries()) {
      const x = of(r.strategies, s).mean_ratio;
      worst = worse(worst, `${kinds[i]} on ${name}`, x);
      seen.push(`${kinds[i]} on ${name} ${x.value.toFixed(3)}`);
    }
  }
  const w = worst as Worst;
  const note = `worst is ${w.where}; envelope c = .2; ${seen.join(", ")}`;
  o.report(row("policy.envelope.adversary_vs_sed", "ratio", "<= 1.15", estimate(w.ratio, seedsOf(o)), note));
}

export const named: Group = {
  ids: [
    ...worstIds,
    "policy.jain.",
    "policy.tick.worst_vs_200ms",
    "policy.n1024.mean_vs_kalman",
    "policy.envelope.adversary_vs_sed",
  ],
  async run(o) {
    if (worstIds.some((id) => o.wants(id))) await worstAgainstSed(o);
    if (o.wants("policy.jain.")) await jain(o);
    if (o.wants("policy.tick.worst_vs_200ms")) await ticks(o);
    if (o.wants("policy.n1024.mean_vs_kalman")) await n1024(o);
    if (o.wants("policy.envelope.adversary_vs_sed")) await adversary(o);
  },
};
