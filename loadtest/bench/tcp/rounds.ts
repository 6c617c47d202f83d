// SPDX-License-Identifier: Apache-2.0
// Alternating rounds: every round measures all targets forth and back (A B C C B A, then B C A A C B, ...), so that a drift of the machine's
// speed falls on all of them alike, and so does the place in the round; a round gives one ratio per pair.
import { type Estimate, ratio } from "../row.js";

export type Figures = Record<string, number>;

export interface Measured {
  /** Per round, per target: the mean of the two visits of each figure. */
  rounds: Map<string, Figures>[];
}

/** Rounds `first` and on: their numbers decide order and seeds. */
export async function alternate<T extends { name: string }>(
  targets: readonly T[],
  first: number,
  rounds: number,
  visit: (target: T, seed: number) => Promise<Figures>,
): Promise<Measured> {
  const out: Map<string, Figures>[] = [];
  for (let r = first; r < first + rounds; r++) {
    const sums = new Map<string, Figures>();
    const lead = r % targets.length;
    const order = [...targets.slice(lead), ...targets.slice(0, lead)];
    for (const [i, t] of [...order, ...[...order].reverse()].entries()) {
      const f = await visit(t, r * 2 + (i >= targets.length ? 2 : 1));
      const have = sums.get(t.name) ?? {};
      for (const [k, v] of Object.entries(f)) have[k] = (have[k] ?? 0) + v / 2;
      sums.set(t.name, have);
    }
    out.push(sums);
  }
  return { rounds: out };
}

export function compare(m: Measured, a: string, b: string, figure: string): Estimate {
  return ratio(m.rounds.map((r) => (r.get(a)?.[figure] as number) / (r.get(b)?.[figure] as number)));
}

export function level(m: Measured, name: string, figure: string): number {
  const v = m.rounds.map((r) => r.get(name)?.[figure] as number).sort((x, y) => x - y);
  return v[Math.floor(v.length / 2)] as number;
}

/** Of several peers the one that makes our row look worst. */
export function worst(ratios: readonly { peer: string; e: Estimate }[], lowerIsBetter: boolean): { peer: string; e: Estimate } {
  return [...ratios].sort((x, y) => (lowerIsBetter ? y.e.value - x.e.value : x.e.value - y.e.value))[0] as {
    peer: string;
    e: Estimate;
  };
}
