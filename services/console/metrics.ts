// SPDX-License-Identifier: Apache-2.0
import { Counter, type Registry, readCounter, readGauge } from "../common/metrics.js";
import type { LiveReaders } from "./live.js";

export function consoleMetrics(registry: Registry, live: LiveReaders) {
  readGauge(registry, "marllb_console_readers", "Pages that are open", [], (say) => say({}, live.size));
  readCounter(registry, "marllb_console_readers_cut_total", "Pages that read nothing for 10 s and were cut off", [], (say) =>
    say({}, live.cut),
  );
  return {
    acts: new Counter({
      name: "marllb_console_acts_total",
      help: "Orders given through the page, by what they were and how they ended",
      labelNames: ["act", "outcome"],
      registers: [registry],
    }),
  };
}
