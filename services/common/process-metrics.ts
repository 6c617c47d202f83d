// SPDX-License-Identifier: Apache-2.0
// The figures that every service has.
import { type Registry, readCounter, readGauge } from "./metrics.js";
import { version } from "./version.js";

export interface ProcessFigures {
  /** Lines of the log that nobody read in time, and those that were too many of a kind. */
  lines: { lost: number; suppressed: number };
  ready(): boolean;
  /** By what became of them; null where traces are off. */
  spans: Readonly<Record<"exported" | "failed" | "dropped", number>> | null;
}

export function processMetrics(registry: Registry, figures: ProcessFigures): void {
  readGauge(registry, "marllb_build_info", "1; the release and the Node that runs it", ["version", "node"], (say) => {
    say({ version, node: process.versions.node }, 1);
  });
  readGauge(registry, "marllb_ready", "1 while the service can do its work; /readyz says why not", [], (say) => {
    say({}, figures.ready() ? 1 : 0);
  });
  const lost = "Log lines that found the queue full: nobody read them in time";
  readCounter(registry, "marllb_log_lines_lost_total", lost, [], (say) => say({}, figures.lines.lost));
  const suppressed = "Log lines left out because too many of the same came";
  readCounter(registry, "marllb_log_lines_suppressed_total", suppressed, [], (say) => say({}, figures.lines.suppressed));
  const spans = "Spans by what became of them; none where traces are off";
  readCounter(registry, "marllb_trace_spans_total", spans, ["result"], (say) => {
    for (const [result, n] of Object.entries(figures.spans ?? {})) say({ result }, n);
  });
}
