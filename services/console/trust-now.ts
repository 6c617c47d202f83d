// SPDX-License-Identifier: Apache-2.0
// What the replicas of inference say of a VIP's trials, as the page shows it. Pure.
import type { GetTrustResponse__Output as GetTrust } from "../../gen/marllb/v1/GetTrustResponse.js";
import type { ExperimentNow, GuardrailNow, TrustNow } from "./wire.js";

export type { GetTrust };

/** What is not known is absent, or not finite. */
const known = (v: number | undefined): number | null => (v !== undefined && Number.isFinite(v) ? v : null);

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
      mean: i.pairs > 0 ? known(i.mean) : null,
      // A ratio is bounded below in any case; where nothing is known above, nothing is known.
      low: Number.isFinite(i.high) ? i.low : null,
      high: known(i.high),
    })),
  };
}

export const NO_GUARDRAIL: GuardrailNow = {
  state: "",
  evidence: "",
  trial: 0,
  trials: 0,
  until: 0,
  stay: null,
  usual: null,
  limit: null,
  steps: [],
};

function guardrailNow(t: GetTrust | undefined): GuardrailNow {
  const g = t?.guardrail;
  if (!g) return NO_GUARDRAIL;
  return {
    state: g.state,
    evidence: g.evidence,
    trial: g.trial,
    trials: g.trials,
    until: Number(g.until_unix_ms),
    stay: known(g.stay_ms),
    usual: known(g.usual_ms),
    limit: known(g.limit_ms),
    steps: g.steps.map((s) => ({ at: Number(s.at_unix_ms), step: s.step, evidence: s.evidence })),
  };
}

/** At one load balancer. The replica that steers it knows its shadow and guardrail; the one that has measured most, the experiment. */
export function trustNow(answers: readonly GetTrust[], instance: string): TrustNow {
  const shadow = answers.flatMap((t) => t.shadows).find((s) => s.instance === instance);
  const most = answers.reduce((best, t) => (pairsOf(t) > pairsOf(best) ? t : best));
  return {
    shadow: shadow
      ? { policy: shadow.policy, cut: shadow.cut, costMs: shadow.cost_ms, distance: shadow.distance, shares: shadow.shares }
      : null,
    experiment: experimentNow(most),
    guardrail: guardrailNow(answers.find((t) => t.instances.includes(instance))),
  };
}
