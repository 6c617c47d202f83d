// SPDX-License-Identifier: Apache-2.0
// Curves over a common axis, the vertical one logarithmic, as SVG.
import type { BenchOptions } from "../harness.js";
import { grid, picture, rectangle, round, save, step, text } from "./svg.js";

export interface Line {
  label: string;
  points: readonly (readonly [x: number, y: number])[];
}

const width = 760;
const height = 460;
const box = { left: 80, right: 560, top: 60, bottom: 410 };
const colours = ["#3465a4", "#cc7832", "#73a03c", "#787878", "#9a4f96", "#b4342d", "#2b8a8a"];

const rule = (x1: number, y1: number, x2: number, y2: number): string =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${grid}"/>`;

/** 1, 2 and 5 times the powers of ten within a range. */
export function marks(low: number, high: number): number[] {
  const list: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10)
    for (const k of [1, 2, 5]) if (k * power >= low * 0.999 && k * power <= high * 1.001) list.push(k * power);
  return list;
}

export function drawLines(title: string, xName: string, yName: string, list: readonly Line[]): string {
  const xs = list.flatMap((l) => l.points.map((p) => p[0]));
  const ys = list.flatMap((l) => l.points.map((p) => p[1]));
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys) / 1.1, Math.max(...ys) * 1.1];
  const x = (v: number): number => box.left + ((v - x0) / (x1 - x0)) * (box.right - box.left);
  const y = (v: number): number => box.bottom - (Math.log(v / y0) / Math.log(y1 / y0)) * (box.bottom - box.top);

  const parts = [text(24, 32, title, "start", 16)];
  const by = step(x1 - x0);
  for (let v = Math.ceil(x0 / by - 1e-9) * by; v <= x1 + by / 100; v += by) {
    parts.push(rule(x(v), box.top, x(v), box.bottom), text(x(v), box.bottom + 20, String(Number(v.toFixed(3))), "middle"));
  }
  for (const v of marks(y0, y1))
    parts.push(rule(box.left, y(v), box.right, y(v)), text(box.left - 8, y(v) + 4, String(Number(v.toPrecision(2))), "end"));
  parts.push(text((box.left + box.right) / 2, height - 12, xName, "middle"), text(24, box.top - 10, yName, "start"));
  for (const [i, l] of list.entries()) {
    const colour = colours[i % colours.length] as string;
    const points = l.points.map(([a, b]) => `${round(x(a))},${round(y(b))}`).join(" ");
    parts.push(`<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    const place = box.top + 10 + i * 20;
    parts.push(rectangle(box.right + 16, place - 3, 18, 4, colour), text(box.right + 40, place + 3, l.label));
  }
  return picture(width, height, parts);
}

/** Draws and writes build/bench/policies-NAME.svg. */
export function lines(o: BenchOptions, name: string, title: string, xName: string, yName: string, list: readonly Line[]): void {
  save(o, name, drawLines(title, xName, yName, list));
}
