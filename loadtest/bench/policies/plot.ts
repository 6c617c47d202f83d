// SPDX-License-Identifier: Apache-2.0
// Horizontal bars with 95 % intervals, grouped by label, as a PNG file.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "../../../services/common/root.js";
import type { BenchOptions } from "../harness.js";
import { type Colour, Picture } from "./png.js";
import type { Interval } from "./sim.js";

export interface Group {
  label: string;
  /** One bar for each of the plot's series. */
  bars: readonly Interval[];
}

const palette: Colour[] = [
  [255, 255, 255], // background
  [30, 30, 30], // text, axis
  [225, 225, 225], // grid
  [52, 101, 164],
  [204, 120, 50],
  [115, 160, 60],
  [120, 120, 120],
];
const ink = 1;
const grid = 2;
const firstSeries = 3;
const barHeight = 12;
const groupGap = 8;
const margin = 24;

/** A round step that divides the span into about eight. */
export function step(span: number): number {
  const power = 10 ** Math.floor(Math.log10(span / 8));
  return power * ([1, 2, 5, 10].find((k) => span / (k * power) <= 8) ?? 10);
}

/** The axis: from a step below the least value (at most 1, the reference) to a step above the greatest. */
function axis(groups: readonly Group[]): { from: number; to: number; by: number } {
  const values = groups.flatMap((g) => g.bars.flatMap((b) => [b.low, b.high]));
  const least = Math.min(1, ...values);
  const most = Math.max(1, ...values);
  const by = step(Math.max(most - least, 0.01));
  return { from: Math.floor(least / by + 1e-9) * by, to: Math.ceil(most / by + 1e-9) * by, by };
}

export function draw(title: string, series: readonly string[], groups: readonly Group[]): Picture {
  const { from, to, by } = axis(groups);
  const left = margin + Math.max(...groups.map((g) => Picture.textWidth(g.label))) + 12;
  const groupHeight = series.length * barHeight + groupGap;
  const top = 100;
  const width = Math.max(left + 900 + 160, margin * 2 + Picture.textWidth(title, 3));
  const height = top + groups.length * groupHeight + 60;
  const p = new Picture(width, height, palette);
  const x = (v: number) => left + ((v - from) / (to - from)) * 900;

  p.text(margin, 20, title, ink, 3);
  let legend = margin;
  for (const [i, s] of series.entries()) {
    p.rectangle(legend, 58, 14, 14, firstSeries + i);
    p.text(legend + 22, 58, s, ink);
    legend += 50 + Picture.textWidth(s);
  }
  const digits = Math.max(0, -Math.floor(Math.log10(by) + 1e-9));
  for (let k = 0; from + k * by <= to + by / 2; k++) {
    const v = from + k * by;
    p.rectangle(x(v), top - 6, 1, groups.length * groupHeight + 6, Math.abs(v - 1) < by / 10 ? ink : grid);
    const label = v.toFixed(digits);
    p.text(x(v) - Picture.textWidth(label) / 2, top + groups.length * groupHeight + 12, label, ink);
  }
  for (const [g, group] of groups.entries()) {
    const y = top + g * groupHeight;
    const middle = y + (series.length * barHeight - Picture.textHeight()) / 2;
    p.text(left - 12 - Picture.textWidth(group.label), middle, group.label, ink);
    for (const [i, b] of group.bars.entries()) {
      const from1 = Math.min(x(1), x(b.value));
      p.rectangle(from1, y + i * barHeight, Math.max(2, Math.abs(x(b.value) - x(1))), barHeight - 2, firstSeries + i);
      p.rectangle(x(b.low), y + i * barHeight + barHeight / 2 - 2, Math.max(1, x(b.high) - x(b.low)), 2, ink);
      p.text(Math.max(x(b.high), x(1)) + 8, y + i * barHeight - 1, b.value.toFixed(3), ink, 1.5);
    }
  }
  return p;
}

/** Draws and writes build/bench/policies-NAME.png. */
export function bars(o: BenchOptions, name: string, title: string, series: readonly string[], groups: readonly Group[]): void {
  const dir = path.join(projectRoot, "build", "bench");
  mkdirSync(dir, { recursive: true });
  const file = path.join(dir, `policies-${name}.png`);
  writeFileSync(file, draw(title, series, groups).png());
  o.progress(`plot: ${path.relative(process.cwd(), file)}`);
}
