// SPDX-License-Identifier: Apache-2.0
// What the plots' pictures are made of, and where they are written.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "../../../services/common/root.js";
import type { BenchOptions } from "../harness.js";

export const ink = "#1e1e1e";
export const grid = "#e1e1e1";

const escapeXml = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
export const round = (v: number): string => String(Math.round(v * 10) / 10);

export function rectangle(x: number, y: number, width: number, height: number, colour: string): string {
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="${colour}"/>`;
}

export function text(x: number, y: number, content: string, anchor: "start" | "middle" | "end" = "start", size = 12): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" font-size="${size}" fill="${ink}">${escapeXml(content)}</text>`;
}

/** A picture of these parts on white. */
export function picture(width: number, height: number, parts: readonly string[]): string {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif">`;
  return `${[open, rectangle(0, 0, width, height, "white"), ...parts, "</svg>"].join("\n")}\n`;
}

/** A round step that divides the span into about eight. */
export function step(span: number): number {
  const power = 10 ** Math.floor(Math.log10(span / 8));
  return power * ([1, 2, 5, 10].find((k) => span / (k * power) <= 8) ?? 10);
}

/** Writes build/bench/policies-NAME.svg. */
export function save(o: BenchOptions, name: string, svg: string): void {
  const dir = path.join(projectRoot, "build", "bench");
  mkdirSync(dir, { recursive: true });
  const file = path.join(dir, `policies-${name}.svg`);
  writeFileSync(file, svg);
  o.progress(`plot: ${path.relative(process.cwd(), file)}`);
}
