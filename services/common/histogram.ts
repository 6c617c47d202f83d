// SPDX-License-Identifier: Apache-2.0
// The frames' histograms: log-linear buckets over microseconds (native/core/include/marllb/hist.h). All percentiles shown or exported
// come from these.
import { layout } from "./native/frame.js";

/** Lower edges, microseconds: 0, 64, 96, 128, 192, ...; the last bucket has no upper one. */
export const edgesUs: readonly number[] = layout.histogramEdgesUs;
export const BUCKETS = edgesUs.length;
/** What lies beyond has no upper bound here: a quantile there is Infinity. */
export const END_MS = (edgesUs[BUCKETS - 1] as number) / 1000;

/** Adds `to - from` (each modulo 2^32) of one server's buckets to `sum`; `from` null = since its start. */
export function addGrowth(sum: Float64Array, to: Uint32Array, toAt: number, from: Uint32Array | null, fromAt: number): void {
  for (let b = 0; b < BUCKETS; b++) {
    const before = from === null ? 0 : (from[fromAt + b] as number);
    sum[b] = (sum[b] as number) + (((to[toAt + b] as number) - before) >>> 0);
  }
}

/** Quantile p (0..1) in milliseconds, linear within a bucket; -1 where there are no samples, Infinity beyond END_MS. */
export function quantileMs(counts: Float64Array, p: number): number {
  let total = 0;
  for (const c of counts) total += c;
  if (total === 0) return -1;
  const rank = p * total;
  let below = 0;
  for (let b = 0; b < BUCKETS; b++) {
    const c = counts[b] as number;
    if (c > 0 && below + c >= rank) {
      if (b === BUCKETS - 1) return Number.POSITIVE_INFINITY;
      const lo = edgesUs[b] as number;
      const hi = edgesUs[b + 1] as number;
      return (lo + (hi - lo) * Math.max(0, (rank - below) / c)) / 1000;
    }
    below += c;
  }
  return Number.POSITIVE_INFINITY;
}
