// SPDX-License-Identifier: Apache-2.0
// Latency and fairness for dashboards: the figures that StreamStats shows, computed when they are scraped.
import type { StreamStatsResponse } from "../../gen/marllb/v1/StreamStatsResponse.js";
import { Gauge, type Registry } from "../common/metrics.js";

const quantiles = [
  ["0.5", "ttfb_p50_ms"],
  ["0.95", "ttfb_p95_ms"],
  ["0.99", "ttfb_p99_ms"],
] as const;

/** `all`: the newest statistics of every VIP. What is unknown is left out, never 0. */
export function latencyMetrics(registry: Registry, all: () => StreamStatsResponse[]): void {
  const registers = [registry];
  new Gauge({
    name: "marllb_vip_ttfb_seconds",
    help: "Time to first byte over the last 10 s",
    labelNames: ["vip", "quantile"],
    registers,
    collect() {
      this.reset();
      for (const s of all()) {
        for (const [quantile, field] of quantiles) {
          if (Number(s[field]) >= 0) this.set({ vip: s.vip?.name ?? "", quantile }, Number(s[field]) / 1000);
        }
      }
    },
  });
  new Gauge({
    name: "marllb_server_ttfb_seconds",
    help: "Time to first byte over the last 10 s; quantile mean is the decayed mean",
    labelNames: ["vip", "server", "quantile"],
    registers,
    collect() {
      this.reset();
      for (const s of all()) {
        for (const server of s.servers ?? []) {
          const labels = { vip: s.vip?.name ?? "", server: server.address ?? "" };
          for (const [quantile, field] of quantiles) {
            if (Number(server[field]) >= 0) this.set({ ...labels, quantile }, Number(server[field]) / 1000);
          }
          const mean = Number(server.ttfb?.decayed_mean_ms ?? 0);
          if (mean > 0) this.set({ ...labels, quantile: "mean" }, mean / 1000);
        }
      }
    },
  });
  new Gauge({
    name: "marllb_vip_jain",
    help: "Jain's index of flows in progress over configured weight; 1 = fair",
    labelNames: ["vip"],
    registers,
    collect() {
      this.reset();
      for (const s of all()) this.set({ vip: s.vip?.name ?? "" }, Number(s.jain ?? 1));
    },
  });
}
