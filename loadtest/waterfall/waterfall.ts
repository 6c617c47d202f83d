// SPDX-License-Identifier: Apache-2.0
// A trace as a picture of letters. Pure.
import type { OtlpSpan } from "../../testbed/otlp.js";

const BAR = 48;

interface Row {
  label: string;
  service: string;
  span: OtlpSpan;
}

/** A span and those below it, each a little to the right. */
function rows(span: OtlpSpan, all: readonly OtlpSpan[], before = "", last = true, root = true): Row[] {
  const below = all.filter((s) => s.parentId === span.spanId).sort((a, b) => a.startUs - b.startUs || b.endUs - a.endUs);
  const label = root ? span.name : `${before}${last ? "└─ " : "├─ "}${span.name}`;
  const next = root ? "" : `${before}${last ? "   " : "│  "}`;
  const own = { label, service: span.service.replace(/^marllb-/, ""), span };
  return [own, ...below.flatMap((s, i) => rows(s, all, next, i === below.length - 1, false))];
}

const ms = (us: number): string => `${(us / 1000).toFixed(2)} ms`;

/** One trace: a line for each span, on the time from the first begin to the last end. */
export function waterfall(trace: readonly OtlpSpan[]): string {
  const root = trace.find((s) => !trace.some((p) => p.spanId === s.parentId));
  if (!root) return "no spans";
  const all = rows(root, trace);
  const from = root.startUs;
  const whole = Math.max(1, ...all.map(({ span }) => span.endUs - from));
  const at = (us: number): number => Math.round((BAR * (us - from)) / whole);
  const wide = (of: (r: Row) => string): number => Math.max(...all.map((r) => of(r).length));
  const [labels, services] = [wide((r) => r.label), wide((r) => r.service)];
  const line = ({ label, service, span }: Row): string => {
    const left = Math.min(BAR - 1, Math.max(0, at(span.startUs)));
    const bar = " ".repeat(left) + "█".repeat(Math.max(1, Math.min(BAR, at(span.endUs)) - left));
    const took = ms(span.endUs - span.startUs).padStart(10);
    return `${label.padEnd(labels)}  ${service.padEnd(services)}  ${bar.padEnd(BAR)} ${took}${span.error === "" ? "" : `  ${span.error}`}`;
  };
  const facts = Object.entries(root.attributes).map(([k, v]) => `${k}=${typeof v === "number" ? Number(v.toFixed(3)) : v}`);
  return [`trace ${root.traceId}  ${facts.join("  ")}`, ...all.map(line)].join("\n");
}
