// SPDX-License-Identifier: Apache-2.0
// see.* rows: what it costs to watch, and whether what is shown is right.
import type { BenchOptions, Group } from "../harness.js";
import { ctlStatus } from "./ctl.js";
import { emptyPanels } from "./grafana.js";
import { installSize } from "./install.js";
import { scrape } from "./scrape.js";
import { traces } from "./traces.js";

const parts: readonly [ids: readonly string[], run: (o: BenchOptions) => Promise<void>][] = [
  [["see.span_order_errors", "see.trace_cpu_share"], traces],
  [["see.metrics_scrape_ms_p99"], scrape],
  [["see.grafana_empty_panels"], emptyPanels],
  [["see.ctl_status_ms_p50"], ctlStatus],
  [["see.install_mb"], installSize],
];

export const see: Group = {
  ids: parts.flatMap(([ids]) => ids),
  async run(o) {
    for (const [ids, run] of parts) if (ids.some(o.wants)) await run(o);
  },
};
