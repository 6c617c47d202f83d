// SPDX-License-Identifier: Apache-2.0
// A test that may be looked at after every pair and stopped whenever it decides: the mean of normal differences whose spread is not
// known. The mixture of the t statistic over N(0, g) of the standardised effect, under the right Haar prior of the spread, is a
// test martingale, so it exceeds 1 / alpha at any time with probability alpha at most (Gonen et al. 2005; Hendriksen, de Heide and
// Grunwald 2021; Ville 1939). All means that it does not refute are the interval. Pure.

/** Variance of the standardised effect under the alternative: 5 % against a spread of 15 % between blocks is about (1/3)^2. */
const G = 0.1;

export interface Interval {
  n: number;
  mean: number;
  low: number;
  high: number;
}

/** Sum and sum of squares of differences, kept without cancellation (Welford 1962). */
export class Differences {
  n = 0;
  mean = 0;
  #m2 = 0;

  add(d: number): void {
    this.n++;
    const before = d - this.mean;
    this.mean += before / this.n;
    this.#m2 += before * (d - this.mean);
  }

  /** Valid at every n at once, with probability 1 - alpha. Infinite while there is too little. */
  interval(alpha: number): Interval {
    const { n, mean } = this;
    const t2 = bound(n, alpha);
    const half = n < 2 || !Number.isFinite(t2) ? Number.POSITIVE_INFINITY : Math.sqrt((t2 * this.#m2) / (n - 1) / n);
    return { n, mean, low: mean - half, high: mean + half };
  }
}

/** The t^2 from which on the martingale exceeds 1 / alpha; infinite where no t does. */
export function bound(n: number, alpha: number): number {
  const free = n - 1;
  if (free < 1) return Number.POSITIVE_INFINITY;
  const shrink = 1 + n * G;
  const ratio = (Math.sqrt(shrink) / alpha) ** (2 / n);
  return ratio < shrink ? (free * (ratio - 1)) / (1 - ratio / shrink) : Number.POSITIVE_INFINITY;
}
