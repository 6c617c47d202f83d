// SPDX-License-Identifier: Apache-2.0
// Horizontal bars with 95 % intervals, grouped by label, as SVG.
import type { BenchOptions } from "../harness.js";
import type { Interval } from "./sim.js";
import { grid, ink, picture, rectangle, save, step, text } from "./svg.js";

export interface Group {
  label: string;
  /** One bar for each of the plot's series. */
  bars: readonly Interval[];
}

const colours = ["#3465a4", "#cc7832", "#73a03c", "#787878"];
const barHeight = 12;
const groupGap = 8;
const margin = 24;
const plotWidth = 900;
/** Of 12 px text: an upper bound, for a viewer's font may differ. */
const letterWidth = 7.5;

/** The axis: from a step below the least value (at most 1, the reference) to a step above the greatest. */
function axis(groups: readonly Group[]): { from: number; to: number; by: number } {
  const values = groups.flatMap((g) => g.bars.flatMap((b) => [b.low, b.high]));
  const least = Math.min(1, ...values);
  const most = Math.max(1, ...values);
  const by = step(Math.max(most - least, 0.01));
  return { from: Math.floor(least / by + 1e-9) * by, to: Math.ceil(most / by + 1e-9) * by, by };
}

export function draw(title: string, series: readonly string[], groups: readonly Group[]): string {
  const { from, to, by } = axis(groups);
  const left = margin + Math.max(...groups.map((g) => g.label.length)) * letterWidth + 12;
  const groupHeight = series.length * barHeight + groupGap;
  const top = 100;
  const bottom = top + groups.length * groupHeight;
  const width = Math.ceil(left + plotWidth + 100);
  const height = bottom + 40;
  const x = (v: number): number => left + ((v - from) / (to - from)) * plotWidth;

  const parts = [text(margin, 36, title, "start", 20)];
  let legend = margin;
  for (const [i, s] of series.entries()) {
    parts.push(rectangle(legend, 58, 14, 14, colours[i % colours.length] as string), text(legend + 20, 70, s));
    legend += 50 + s.length * letterWidth;
  }
  const digits = Math.max(0, -Math.floor(Math.log10(by) + 1e-9));
  for (let k = 0; from + k * by <= to + by / 2; k++) {
    const v = from + k * by;
    parts.push(rectangle(x(v), top - 6, 1, bottom - top + 6, Math.abs(v - 1) < by / 10 ? ink : grid));
    parts.push(text(x(v), bottom + 20, v.toFixed(digits), "middle"));
  }
  for (const [g, group] of groups.entries()) {
    const y = top + g * groupHeight;
    parts.push(text(left - 12, y + (series.length * barHeight) / 2 + 4, group.label, "end"));
    for (const [i, b] of group.bars.entries()) {
      const at = y + i * barHeight;
      const length = Math.max(2, Math.abs(x(b.value) - x(1)));
      parts.push(rectangle(Math.min(x(1), x(b.value)), at, length, barHeight - 2, colours[i % colours.length] as string));
      parts.push(rectangle(x(b.low), at + barHeight / 2 - 2, Math.max(1, x(b.high) - x(b.low)), 2, ink));
      parts.push(text(Math.max(x(b.high), x(1)) + 6, at + 9, b.value.toFixed(3), "start", 10));
    }
  }
  return picture(width, height, parts);
}

/** Draws and writes build/bench/policies-NAME.svg. */
export function bars(o: BenchOptions, name: string, title: string, series: readonly string[], groups: readonly Group[]): void {
  save(o, name, draw(title, series, groups));
}
