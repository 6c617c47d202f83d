// SPDX-License-Identifier: Apache-2.0
// A benchmark's row, its table and its file (form in docs/design.md, Benchmarks).
import { writeFileSync } from "node:fs";

export interface Row {
  id: string;
  value: number | null;
  unit: string;
  /** As text, e.g. "<= 10"; "" where the figure is only stated. */
  bar: string;
  pass: boolean | null;
  n: number;
  low: number | null;
  high: number | null;
  note: string;
}

/** Which end of the interval a bar is held against: the value itself, or the end that the issue names. */
export type Against = "value" | "low" | "high";

export function meets(bar: string, value: number): boolean | null {
  const m = /^(<=|>=|<|>)\s*([0-9.e+-]+)$/.exec(bar);
  if (!m) return null;
  const limit = Number(m[2]);
  switch (m[1]) {
    case "<=":
      return value <= limit;
    case ">=":
      return value >= limit;
    case "<":
      return value < limit;
    default:
      return value > limit;
  }
}

export function row(id: string, unit: string, bar: string, e: Estimate | null, note: string, against: Against = "value"): Row {
  if (e === null) return { id, value: null, unit, bar, pass: null, n: 0, low: null, high: null, note };
  return { id, value: e.value, unit, bar, pass: meets(bar, e[against]), n: e.n, low: e.low, high: e.high, note };
}

export interface Estimate {
  value: number;
  low: number;
  high: number;
  n: number;
}

/** A figure without an interval. */
export const exact = (value: number, n: number): Estimate => ({ value, low: value, high: value, n });

/** Two-sided 95 % quantile of Student's t with k degrees of freedom (Hill 1970, Cornish-Fisher expansion of the normal's). */
export function t95(k: number): number {
  if (k === 1) return 12.706;
  if (k === 2) return 4.303;
  const z = 1.959964;
  const g1 = (z ** 3 + z) / 4;
  const g2 = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const g3 = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + g1 / k + g2 / k ** 2 + g3 / k ** 3;
}

/** Mean of the samples with its 95 % interval. */
export function mean(samples: readonly number[]): Estimate {
  const n = samples.length;
  const m = samples.reduce((a, b) => a + b, 0) / n;
  if (n < 2) return { value: m, low: m, high: m, n };
  const se = Math.sqrt(samples.reduce((a, b) => a + (b - m) ** 2, 0) / (n - 1) / n);
  const h = t95(n - 1) * se;
  return { value: m, low: m - h, high: m + h, n };
}

/** Geometric mean of the ratios with its 95 % interval, from their logarithms. */
export function ratio(ratios: readonly number[]): Estimate {
  const e = mean(ratios.map(Math.log));
  return { value: Math.exp(e.value), low: Math.exp(e.low), high: Math.exp(e.high), n: e.n };
}

/** Quantile p of the samples; 95 % interval from the binomial order statistics. */
export function quantile(samples: readonly number[], p: number): Estimate {
  const s = [...samples].sort((a, b) => a - b);
  const n = s.length;
  const at = (i: number) => s[Math.min(n - 1, Math.max(0, Math.floor(i)))] as number;
  const h = 1.96 * Math.sqrt(n * p * (1 - p));
  return { value: at(p * (n - 1)), low: at(n * p - h), high: at(n * p + h), n };
}

const show = (v: number | null) => (v === null ? "-" : Math.abs(v) >= 1000 ? v.toFixed(0) : v.toPrecision(4));

export function line(r: Row): string {
  const verdict = r.pass === null ? (r.value === null ? "absent" : "stated") : r.pass ? "met" : "MISSED";
  const interval = r.low === null ? "" : `[${show(r.low)}, ${show(r.high)}]`;
  return `${r.id.padEnd(40)} ${show(r.value).padStart(9)} ${r.unit.padEnd(8)} ${interval.padEnd(20)} ${r.bar.padEnd(9)} ${verdict.padEnd(7)} ${r.note}`;
}

export function writeRows(file: string, machine: string, commit: string, rows: readonly Row[]): void {
  writeFileSync(file, `${JSON.stringify({ machine, commit, rows }, null, 2)}\n`);
}
