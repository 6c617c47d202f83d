// SPDX-License-Identifier: Apache-2.0
// Is a series flat? Its trend by Theil and Sen (the median of the slopes of all pairs of points), which single peaks do not move.

export interface Point {
  /** Seconds. */
  t: number;
  value: number;
}

/** Growth over the whole series that its median slope says, in units of the values; 0 with fewer than three points. */
export function growth(points: readonly Point[]): number {
  if (points.length < 3) return 0;
  const slopes: number[] = [];
  for (const [i, a] of points.entries())
    for (const b of points.slice(i + 1)) if (b.t > a.t) slopes.push((b.value - a.value) / (b.t - a.t));
  const span = (points.at(-1) as Point).t - (points[0] as Point).t;
  return median(slopes) * span;
}

export function median(values: readonly number[]): number {
  const s = [...values].sort((a, b) => a - b);
  const m = s.length >> 1;
  return s.length % 2 ? (s[m] as number) : ((s[m - 1] ?? 0) + (s[m] ?? 0)) / 2;
}

export interface Verdict {
  flat: boolean;
  median: number;
  growth: number;
  allowed: number;
}

/** Flat: the trend adds no more than `share` of the median, or `least` where that is more. */
export function flat(points: readonly Point[], share: number, least: number): Verdict {
  const m = median(points.map((p) => p.value));
  const g = growth(points);
  const allowed = Math.max(share * m, least);
  return { flat: g <= allowed, median: m, growth: g, allowed };
}
