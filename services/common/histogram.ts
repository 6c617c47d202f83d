// SPDX-License-Identifier: Apache-2.0
// The frames' histograms: 32 log-linear buckets over microseconds (native/core/include/marllb/hist.h). All percentiles shown or
// exported come from these.

export const BUCKETS = 32;

/** Lower edge of bucket i, microseconds: 0, 64, 96, 128, 192, ... */
export function edgeUs(i: number): number {
  return i === 0 ? 0 : i % 2 === 1 ? 64 * 2 ** ((i - 1) / 2) : 96 * 2 ** ((i - 2) / 2);
}

/** Adds `to - from` (each modulo 2^32) of one server's buckets to `sum`; `from` null = since its start. */
export function addGrowth(sum: Float64Array, to: Uint32Array, toAt: number, from: Uint32Array | null, fromAt: number): void {
  for (let b = 0; b < BUCKETS; b++) {
    const before = from === null ? 0 : (from[fromAt + b] as number);
    sum[b] = (sum[b] as number) + (((to[toAt + b] as number) - before) >>> 0);
  }
}

/** Quantile p (0..1) in milliseconds, linear within a bucket; -1 where there are no samples. */
export function quantileMs(counts: Float64Array, p: number): number {
  let total = 0;
  for (const c of counts) total += c;
  if (total === 0) return -1;
  const rank = p * total;
  let below = 0;
  for (let b = 0; b < BUCKETS; b++) {
    const c = counts[b] as number;
    if (c > 0 && below + c >= rank) {
      const lo = edgeUs(b);
      const hi = b + 1 < BUCKETS ? edgeUs(b + 1) : lo * 1.5;
      return (lo + (hi - lo) * Math.max(0, (rank - below) / c)) / 1000;
    }
    below += c;
  }
  return edgeUs(BUCKETS - 1) / 1000;
}
