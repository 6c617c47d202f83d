// SPDX-License-Identifier: Apache-2.0
// What the replicas of inference say of a VIP's trials, as the page shows it. Pure.
import type { GetTrustResponse__Output as GetTrust } from "../../gen/marllb/v1/GetTrustResponse.js";
import type { ExperimentNow, TrustNow } from "./wire.js";

export type { GetTrust };

const bounded = (v: number): number | null => (Number.isFinite(v) ? v : null);

const pairsOf = (t: GetTrust): number => Math.max(0, ...(t.experiment?.intervals ?? []).map((i) => i.pairs));

function experimentNow(t: GetTrust): ExperimentNow | null {
  const e = t.experiment;
  if (!e) return null;
  return {
    id: e.id,
    candidate: e.candidate,
    baseline: e.baseline,
    share: e.share,
    startedAt: Number(e.started_at_unix_ms),
    deadline: Number(e.deadline_unix_ms),
    verdict: e.verdict,
    why: e.why,
    intervals: e.intervals.map((i) => ({
      metric: i.metric,
      pairs: i.pairs,
      mean: i.pairs > 0 ? bounded(i.mean) : null,
      // A ratio is bounded below in any case; where nothing is known above, nothing is known.
      low: Number.isFinite(i.high) ? i.low : null,
      high: bounded(i.high),
    })),
  };
}

/** At one load balancer. The replica that steers it knows its shadow; the one that has measured most, the experiment. */
export function trustNow(answers: readonly GetTrust[], instance: string): TrustNow {
  const shadow = answers.flatMap((t) => t.shadows).find((s) => s.instance === instance);
  const most = answers.reduce((best, t) => (pairsOf(t) > pairsOf(best) ? t : best));
  const steering = answers.find((t) => t.guardrail_down);
  return {
    shadow: shadow
      ? { policy: shadow.policy, cut: shadow.cut, costMs: shadow.cost_ms, distance: shadow.distance, shares: shadow.shares }
      : null,
    experiment: experimentNow(most),
    down: steering?.guardrail.findLast((g) => g.down)?.evidence ?? "",
  };
}
