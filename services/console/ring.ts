// SPDX-License-Identifier: Apache-2.0
// Columns of numbers over time, of a fixed size: seconds for ten minutes, ten seconds for two hours, minutes for a day. A point goes
// into every tier at once, so nothing is ever moved from one to the next. The clock may jump: what lies in the future of a point is no more.

/** How the points of one step become one: the mean, or for what is bad when large (a percentile) the largest. */
export type Fold = "mean" | "max" | "last";

export const TIERS: readonly { step: number; n: number }[] = [
  { step: 1000, n: 600 },
  { step: 10_000, n: 720 },
  { step: 60_000, n: 1440 },
];

class Tier {
  readonly #values: Float32Array;
  readonly #counts: Uint32Array;
  /** Number of the newest step since 1970; -1: nothing was put yet. */
  #newest = -1;

  constructor(
    readonly step: number,
    readonly n: number,
    private readonly folds: readonly Fold[],
  ) {
    this.#values = new Float32Array(n * folds.length).fill(Number.NaN);
    this.#counts = new Uint32Array(folds.length);
  }

  put(at: number, row: readonly number[]): void {
    const s = Math.floor(at / this.step);
    if (s < this.#newest - 1) this.#clear();
    if (s > this.#newest) this.#advance(s);
    if (s < this.#newest) return; // late by one step: what it would add to is closed
    const base = (s % this.n) * this.folds.length;
    for (let c = 0; c < this.folds.length; c++) this.#fold(base + c, c, row[c] as number);
  }

  /** One column, `n` steps up to and with that of `until`. */
  read(column: number, until: number, n: number): (number | null)[] {
    const last = Math.floor(until / this.step);
    const out: (number | null)[] = [];
    for (let s = last - n + 1; s <= last; s++) {
      const kept = s > this.#newest - this.n && s <= this.#newest && s >= 0;
      const v = kept ? (this.#values[(s % this.n) * this.folds.length + column] as number) : Number.NaN;
      out.push(Number.isNaN(v) ? null : v);
    }
    return out;
  }

  #fold(at: number, c: number, v: number): void {
    if (!Number.isFinite(v)) return;
    const before = this.#values[at] as number;
    const k = (this.#counts[c] as number) + 1;
    this.#counts[c] = k;
    if (k === 1 || this.folds[c] === "last") this.#values[at] = v;
    else if (this.folds[c] === "max") this.#values[at] = Math.max(before, v);
    else this.#values[at] = before + (v - before) / k;
  }

  /** Steps without a point stay unknown. */
  #advance(s: number): void {
    const width = this.folds.length;
    const from = Math.max(this.#newest + 1, s - this.n + 1);
    for (let i = from; i <= s; i++) {
      const base = (i % this.n) * width;
      this.#values.fill(Number.NaN, base, base + width);
    }
    this.#newest = s;
    this.#counts.fill(0);
  }

  #clear(): void {
    this.#values.fill(Number.NaN);
    this.#newest = -1;
  }
}

export class Ring {
  readonly #tiers: readonly Tier[];
  /** Of the newest point. */
  at = 0;

  constructor(folds: readonly Fold[]) {
    this.#tiers = TIERS.map(({ step, n }) => new Tier(step, n, folds));
  }

  /** One value a column; NaN = unknown. */
  put(at: number, row: readonly number[]): void {
    this.at = at;
    for (const t of this.#tiers) t.put(at, row);
  }

  /** The finest tier that holds `span` ms, from which one reads `n` steps. */
  static tierOf(span: number): { tier: number; step: number; n: number } {
    const i = TIERS.findIndex((t) => t.step * t.n >= span);
    const tier = i < 0 ? TIERS.length - 1 : i;
    const { step, n } = TIERS[tier] as (typeof TIERS)[number];
    return { tier, step, n: Math.min(n, Math.ceil(span / step)) };
  }

  read(tier: number, column: number, until: number, n: number): (number | null)[] {
    return (this.#tiers[tier] as Tier).read(column, until, n);
  }
}
