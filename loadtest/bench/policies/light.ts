// SPDX-License-Identifier: Apache-2.0
// Rows on who is left out: equal servers at light load, what that costs on family v1, and a server that once was slow.
import path from "node:path";
import { projectRoot } from "../../../services/common/root.js";
import type { BenchOptions, Group } from "../harness.js";
import { exact, type Row, row } from "../row.js";
import { absent, marl } from "./models.js";
import { type NamedStrategy, of, family as runFamily, file as runFile } from "./sim.js";

const folder = path.join(projectRoot, "native", "sim", "scenarios", "light");
const jainId = "policy.light.jain";
const costId = "policy.light.cost_v1";
const backId = "policy.back_after_slow_s";

async function figures(name: string, strategies: readonly string[], seeds: number): Promise<NamedStrategy[]> {
  const r = await runFile(path.join(folder, name), { strategies: ["SED", ...strategies], reference: "SED", seeds });
  return r.strategies;
}

/** The worse of the strategies, with every one in the note. */
function worst(
  id: string,
  unit: string,
  bar: string,
  seeds: number,
  what: string,
  list: readonly [string, number | null][],
  pick: (...v: number[]) => number,
): Row {
  const values = list.map(([, v]) => v ?? Number.NaN);
  const seen = list.map(([s, v]) => `${s} ${v === null ? "none" : v.toFixed(3)}`).join(", ");
  return row(id, unit, bar, exact(pick(...values), seeds), `${what}, ${seeds} seeds: ${seen}`);
}

async function cost(o: BenchOptions, strategy: string): Promise<void> {
  const n = o.quick ? 100 : 1000;
  const off = `${strategy}@light=off`;
  o.progress(`light: family v1, ${n} scenarios with and without`);
  const f = await runFamily({ n, strategies: [strategy, off], references: [off] });
  const over = of(f.strategies, strategy).over[off];
  const e = over ? { value: over.mean.value - 1, low: over.mean.low - 1, high: over.mean.high - 1, n } : null;
  o.report(
    row(costId, "ratio - 1", "<= 0.002", e, "marl, trust hint, family v1: mean with the choice at light load over that without"),
  );
}

export const light: Group = {
  ids: [jainId, costId, backId],
  async run(o) {
    const m = marl();
    const strategy = m.strategy && `${m.strategy}@trust=hint`;
    if (!strategy) {
      for (const id of [jainId, costId, backId]) o.report(row(id, "", "", null, absent(m)));
      return;
    }
    const seeds = o.quick ? 2 : 12;
    const own = [
      ["marl", strategy],
      ["kalman", "kalman+sed"],
    ] as const;
    const strategies = own.map(([, s]) => s);
    if (o.wants(jainId)) {
      const r = await figures("light.json", strategies, seeds);
      const list = own.map(([name, s]): [string, number | null] => [name, of(r, s).flows_jain]);
      o.report(worst(jainId, "index", ">= 0.95", seeds, "flows of four equal servers at 5 % load", list, Math.min));
    }
    if (o.wants(costId)) await cost(o, strategy);
    if (o.wants(backId)) {
      const r = await figures("once-slow.json", strategies, seeds);
      const list = own.map(([name, s]): [string, number | null] => [name, of(r, s).back_s]);
      const what =
        "one of five equal servers, 20 times slow for 30 s; then until it has half of its share in a second again, mean";
      o.report(worst(backId, "s", "<= 5", seeds, what, list, Math.max));
    }
  },
};
