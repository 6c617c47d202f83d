// SPDX-License-Identifier: Apache-2.0
// Latency as histograms of the frames' own buckets: exact, and their sums over load balancers are what one of all their traffic would show.
import { BUCKETS, edgesUs } from "../common/histogram.js";
import { type Registry, readGauge, readHistogram } from "../common/metrics.js";
import type { Buckets, LatencyCounts } from "./latency.js";
import type { ServerRow } from "./server-rows.js";

/** Of one VIP, at the scrape. */
export interface VipLatency {
  name: string;
  /** Sums are seconds, cumulative. */
  ttfb: { counts: LatencyCounts; sumS: number };
  duration: { counts: LatencyCounts; sumS: number };
  jain: number;
  servers: readonly Pick<ServerRow, "address" | "labels" | "ids">[];
  /** Of one of `servers`, by its place: cumulative, and the mean with old samples counting less. */
  serverSumS(i: number): number;
  decayedMeanS(i: number): number;
}

/** Every edge of the frames' buckets but 0, which nothing is below. */
const vipEdges = edgesUs.slice(1).map((us) => us / 1e6);
/**
 * A server has every third edge, from 128 us to 12 s: 15 lines where the whole would be 57, for a scrape's time is in the lines of all servers.
 * Its quantiles compare servers; the mean of `_sum` and `_count` is exact, and the whole ones are the VIP's.
 */
const FIRST = edgesUs.indexOf(128);
const LAST = edgesUs.findLastIndex((us) => us <= 12_600_000);
const serverPlaces = edgesUs.flatMap((_, i) => (i >= FIRST && i <= LAST && (i - FIRST) % 3 === 0 ? [i] : []));
const serverEdges = serverPlaces.map((i) => (edgesUs[i] as number) / 1e6);

/** By bucket, which of a server's it is in. */
const serverPlace = Uint8Array.from({ length: BUCKETS }, (_, b) => serverPlaces.filter((p) => b >= p).length);
const coarseCounts = new Float64Array(serverPlaces.length + 1);

/** The buckets between the places, and what lies beyond the last; valid until the next call. */
function coarse({ counts, at }: Buckets): Float64Array {
  coarseCounts.fill(0);
  for (let b = 0; b < BUCKETS; b++) {
    const place = serverPlace[b] as number;
    coarseCounts[place] = (coarseCounts[place] as number) + (counts[at + b] as number);
  }
  return coarseCounts;
}

/** `all`: of every VIP that there is. */
export function latencyMetrics(registry: Registry, all: () => readonly VipLatency[]): void {
  const help = "Time from a request's first byte to the answer's";
  const ofVip = { labelNames: ["vip"] as const, edges: vipEdges };
  readHistogram(registry, { ...ofVip, name: "marllb_vip_ttfb_seconds", help }, (say) => {
    for (const { name, ttfb } of all()) say({ vip: name }, ttfb.counts.vip, ttfb.sumS);
  });
  const duration = "Time from begin to end of flows that completed";
  readHistogram(registry, { ...ofVip, name: "marllb_vip_duration_seconds", help: duration }, (say) => {
    for (const v of all()) say({ vip: v.name }, v.duration.counts.vip, v.duration.sumS);
  });
  const ofServer = { name: "marllb_server_ttfb_seconds", help, labelNames: ["vip", "server"] as const, edges: serverEdges };
  readHistogram(registry, ofServer, (say) => {
    for (const v of all()) {
      const { counts } = v.ttfb;
      v.servers.forEach((s, i) => {
        say(s.labels, coarse(counts.of(s.address, s.ids)), v.serverSumS(i));
      });
    }
  });
  const decayed = "Time to first byte, mean with old samples counting less; absent while nothing was seen";
  readGauge(registry, "marllb_server_ttfb_decayed_mean_seconds", decayed, ["vip", "server"], (say) => {
    for (const v of all())
      v.servers.forEach((s, i) => {
        const mean = v.decayedMeanS(i);
        if (mean > 0) say(s.labels, mean);
      });
  });
  readGauge(
    registry,
    "marllb_vip_jain_ratio",
    "Jain's index of flows in progress over configured weight; 1 = each server has what its weight says",
    ["vip"],
    (say) => {
      for (const { name, jain } of all()) say({ vip: name }, jain);
    },
  );
}
