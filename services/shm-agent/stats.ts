// SPDX-License-Identifier: Apache-2.0
// Decoded statistics for people. Made on demand from the newest frame and one a second of the last ten seconds, so that the tick
// pays only for keeping them.
import type { ServerStats } from "../../gen/marllb/v1/ServerStats.js";
import type { StreamStatsResponse } from "../../gen/marllb/v1/StreamStatsResponse.js";
import type { Summary } from "../../gen/marllb/v1/Summary.js";
import type { VipStatus } from "../../gen/marllb/v1/VipStatus.js";
import { addGrowth, BUCKETS, quantileMs } from "../common/histogram.js";
import { jain } from "../common/native/figures.js";
import type { FrameView } from "../common/native/frame.js";
import { ServerFlag } from "../common/vocabulary.js";
import type { RawFrame } from "./region.js";
import type { Vip } from "./vip.js";

const EVERY_NS = 1_000_000_000n;
const KEEP = 10;

/** One frame a second of each VIP, ten seconds back. What is kept of a VIP goes with it. */
export class History {
  readonly #frames = new WeakMap<Vip, RawFrame[]>();

  add(vip: Vip): void {
    let list = this.#frames.get(vip);
    if (list === undefined) {
      list = [];
      this.#frames.set(vip, list);
    }
    const last = list.at(-1);
    if (last && vip.frame.monoNs - last.monoNs < EVERY_NS) return;
    list.push(vip.frame);
    if (list.length > KEEP + 1) list.shift();
  }

  /** The oldest kept frame: about ten seconds back, or what there is. */
  oldest(vip: Vip): RawFrame | undefined {
    return this.#frames.get(vip)?.[0];
  }
}

/** Jain's index of flows over weight: 1 = each server has what its weight says. */
export const fairness = (flows: ArrayLike<number>, weights: ArrayLike<number>): number =>
  jain(Array.from(flows, (f, i) => f / (weights[i] as number)));

export function serverState(flags: number, factor: number): string {
  if (flags & ServerFlag.LEAVING) return "leaving";
  if (flags & ServerFlag.EJECTED) return "ejected";
  if (flags & ServerFlag.GUARDED) return "guarded";
  if (flags & ServerFlag.DRAINING) return "draining";
  return factor === 0 ? "masked" : "up";
}

function summary(v: FrameView, field: string, i: number): Summary {
  const at = (name: string): number => v.column(`${field}.${name}`)[i] as number;
  return {
    samples: at("samples"),
    mean_ms: at("mean") / 1000,
    std_ms: at("std") / 1000,
    p90_ms: at("p90") / 1000,
    decayed_mean_ms: at("dmean") / 1000,
    decayed_p90_ms: at("dp90") / 1000,
  };
}

const CUMULATIVE = [
  "new_flows",
  "completions",
  "refusals",
  "resets",
  "aborts",
  "unanswered",
  "answers",
  "bytes_in",
  "bytes_out",
  "packets_in",
  "packets_out",
  "empty_ends",
  "late_resets",
  "quick_ends",
  "quick_answers",
  "unmade",
  "ejections",
] as const;

export function statistics(vip: Vip, status: VipStatus, before: FrameView | null): StreamStatsResponse {
  const v = vip.view;
  const addresses = v.addresses();
  const hist = v.histogram("ttfb_hist");
  const oldHist = before?.histogram("ttfb_hist") ?? null;
  const oldAt = new Map(Array.from(before?.ids ?? [], (id, i) => [id, i]));
  const all = new Float64Array(BUCKETS);
  const oldNew = before?.column("new_flows");
  const nowNew = v.column("new_flows");
  let newFlows = 0;

  const servers: ServerStats[] = addresses.map((address, i) => {
    const id = v.ids[i] as number;
    const j = oldAt.get(id);
    const own = new Float64Array(BUCKETS);
    addGrowth(own, hist, i * BUCKETS, j === undefined ? null : oldHist, (j ?? 0) * BUCKETS);
    for (let b = 0; b < BUCKETS; b++) all[b] = (all[b] as number) + (own[b] as number);
    newFlows += (nowNew[i] as number) - (j === undefined ? 0 : (oldNew?.[j] as number));
    const factor = v.column("factor")[i] as number;
    const s: ServerStats = {
      id,
      address,
      state: serverState(v.flags[i] as number, factor),
      weight_static: v.weightStatic[i] as number,
      share: v.column("weight")[i] as number,
      factor,
      flows: v.flows[i] as number,
      half_open: v.column("half_open")[i] as number,
      waiting: v.column("waiting")[i] as number,
      duration: summary(v, "duration", i),
      ttfb: summary(v, "ttfb", i),
      connect: summary(v, "connect", i),
      ttfb_p50_ms: quantileMs(own, 0.5),
      ttfb_p95_ms: quantileMs(own, 0.95),
      ttfb_p99_ms: quantileMs(own, 0.99),
    };
    for (const field of CUMULATIVE) s[field] = v.column(field)[i] as number;
    return s;
  });
  const seconds = before ? Number(v.monoNs - before.monoNs) / 1e9 : 0;
  return {
    vip: status,
    servers,
    time_unix_ns: v.realNs.toString(),
    jain: fairness(v.flows, v.weightStatic),
    new_flows_per_s: seconds > 0 ? newFlows / seconds : 0,
    ttfb_p50_ms: quantileMs(all, 0.5),
    ttfb_p95_ms: quantileMs(all, 0.95),
    ttfb_p99_ms: quantileMs(all, 0.99),
  };
}
