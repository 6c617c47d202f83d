// SPDX-License-Identifier: Apache-2.0
// Latency and fairness for dashboards: the figures that StreamStats shows, computed when they are scraped.
import type { StreamStatsResponse } from "../../gen/marllb/v1/StreamStatsResponse.js";
import { Gauge, type Quantiles, type Registry, registerQuantiles } from "../common/metrics.js";

type Quantile = "ttfb_p50_ms" | "ttfb_p95_ms" | "ttfb_p99_ms";
const quantiles: [string, Quantile][] = [
  ["0.5", "ttfb_p50_ms"],
  ["0.95", "ttfb_p95_ms"],
  ["0.99", "ttfb_p99_ms"],
];

/** Cumulative. */
export interface Answers {
  /** Their times to first byte, seconds. Flows that wait for an answer that never begins are not in it. */
  sumS: number;
  answers: number;
}

export interface VipLatency {
  stats: StreamStatsResponse;
  /** Of all servers that the VIP ever had. */
  answers: Answers;
  /** By address: the place of its member in the statistics, and what all of its records counted. */
  servers: (Answers & { address: string; member: number })[];
}

const known = (of: { [key in Quantile]?: number | string }): [string, number][] =>
  quantiles.flatMap(([quantile, field]) => (Number(of[field]) >= 0 ? [[quantile, Number(of[field]) / 1000]] : []));
const statsOf = (vip: VipLatency, server: VipLatency["servers"][number]) => vip.stats.servers?.[server.member] ?? {};

/** `all`: the newest of every VIP. What is unknown is left out, never 0. */
export function latencyMetrics(registry: Registry, all: () => VipLatency[]): void {
  const registers = [registry];
  registerQuantiles(
    registry,
    "marllb_vip_ttfb_seconds",
    "Time to first byte: quantiles over the last 10 s, sum and count since ever",
    () =>
      all().map(({ stats, answers }) => ({
        labels: { vip: stats.vip?.name ?? "" },
        quantiles: known(stats),
        sum: answers.sumS,
        count: answers.answers,
      })),
  );
  registerQuantiles(
    registry,
    "marllb_server_ttfb_seconds",
    "Time to first byte: quantiles over the last 10 s, sum and count since the server joined",
    () =>
      all().flatMap((vip) =>
        vip.servers.map(
          (server): Quantiles => ({
            labels: { vip: vip.stats.vip?.name ?? "", server: server.address },
            quantiles: known(statsOf(vip, server)),
            sum: server.sumS,
            count: server.answers,
          }),
        ),
      ),
  );
  new Gauge({
    name: "marllb_server_ttfb_decayed_mean_seconds",
    help: "Time to first byte, mean with old samples counting less",
    labelNames: ["vip", "server"],
    registers,
    collect() {
      this.reset();
      for (const vip of all()) {
        for (const server of vip.servers) {
          const mean = Number(statsOf(vip, server).ttfb?.decayed_mean_ms ?? 0);
          if (mean > 0) this.set({ vip: vip.stats.vip?.name ?? "", server: server.address }, mean / 1000);
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
      for (const { stats } of all()) this.set({ vip: stats.vip?.name ?? "" }, Number(stats.jain ?? 1));
    },
  });
}
