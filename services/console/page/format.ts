// SPDX-License-Identifier: Apache-2.0
// Numbers and times as people read them. Pure.

/** Milliseconds; `end`: from there on only "more" is known. */
export function ms(v: number | null | undefined, end = Number.POSITIVE_INFINITY): string {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  if (v === 0) return "0 ms";
  if (v >= end) return `> ${ms(end * 0.999_999)}`;
  if (v >= 9995) return `${(v / 1000).toFixed(1)} s`;
  if (v >= 999.5) return `${(v / 1000).toFixed(2)} s`;
  return `${v < 9.95 ? v.toFixed(1) : v.toFixed(0)} ms`;
}

export function count(v: number | null | undefined): string {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  if (v >= 999_500) return `${(v / 1e6).toFixed(1)} M`;
  if (v >= 9995) return `${(v / 1000).toFixed(0)} k`;
  if (v >= 100 || Number.isInteger(v)) return v.toFixed(0);
  return v.toFixed(v < 10 ? 1 : 0);
}

export const percent = (v: number | null | undefined): string =>
  v === null || v === undefined || !Number.isFinite(v) ? "–" : `${(100 * v).toFixed(v < 0.0995 ? 1 : 0)} %`;

export const fixed = (v: number | null | undefined, digits: number): string =>
  v === null || v === undefined || !Number.isFinite(v) ? "–" : v.toFixed(digits);

const two = (n: number): string => String(n).padStart(2, "0");

/** Of the reader's own clock. */
export function clock(unixMs: number): string {
  const d = new Date(unixMs);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

export function ago(ageMs: number): string {
  const s = Math.max(0, Math.round(ageMs / 1000));
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.round(s / 60)} min ago`;
  return s < 86_400 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86_400)} d ago`;
}

/**
 * Jain's index of flows that are placed evenly, but each by chance: a server's count varies about its mean m by sqrt(m), so the index is about
 * flows / (flows + servers - 1). null: fewer flows than servers have no index.
 */
export const byChance = (flows: number | null | undefined, servers: number): number | null =>
  flows === null || flows === undefined || flows < servers || servers < 1 ? null : flows / (flows + servers - 1);
