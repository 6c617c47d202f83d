// SPDX-License-Identifier: Apache-2.0
// Experiments and the guardrail as messages. Pure.
import type { Experiment as ExperimentMessage } from "../../gen/marllb/v1/Experiment.js";
import type { Guardrail as GuardrailMessage } from "../../gen/marllb/v1/Guardrail.js";
import type { ShareExperimentResponse, ShareExperimentResponse__Output } from "../../gen/marllb/v1/ShareExperimentResponse.js";
import { type Experiment, VERDICTS, type Verdict } from "../common/trial/experiment.js";
import type { GuardrailNow, Step } from "../common/trial/guardrail.js";
import { METRICS } from "../common/trial/measure.js";
import type { Interval } from "../common/trial/sequential.js";
import type { Share } from "./trials.js";

/** Of a message; more come with the next ones. */
const MOST_PAIRS = 10_000;

export function experimentMessage(e: Experiment): ExperimentMessage {
  const { verdict, why, endedAt, intervals } = e.standing();
  const { id, vip, candidate, baseline, share, startedAt, blockMs, deadline, seed, by, reason } = e.spec;
  return {
    id,
    vip,
    candidate,
    baseline,
    share,
    started_at_unix_ms: startedAt,
    block_ms: blockMs,
    deadline_unix_ms: deadline,
    seed,
    by,
    reason,
    verdict,
    why,
    ended_at_unix_ms: endedAt,
    intervals: METRICS.map((metric) => {
      const { n, mean, low, high } = intervals[metric];
      return { metric, pairs: n, mean, low, high };
    }),
  };
}

/** Of logarithms. */
const ratios = (metric: string, { n, mean, low, high }: Interval) => ({
  metric,
  pairs: n,
  mean: Math.expm1(mean),
  low: Math.expm1(low),
  high: Math.expm1(high),
});

/** `now` null: no learned policy is wanted. Its steps stay. */
export function guardrailMessage(now: GuardrailNow | null, steps: readonly Step[]): GuardrailMessage {
  const said = steps.map(({ at, kind, evidence }) => ({ at_unix_ms: at, step: kind, evidence }));
  if (now === null) return { state: "off", steps: said, stay_ms: Number.NaN, usual_ms: Number.NaN, limit_ms: Number.NaN };
  return {
    state: now.state,
    evidence: now.evidence,
    stay_ms: now.stayMs ?? Number.NaN,
    usual_ms: now.usualMs ?? Number.NaN,
    limit_ms: now.limitMs ?? Number.NaN,
    trial: now.trial,
    trials: now.trials,
    until_unix_ms: now.untilMs,
    difference: ratios("duration", now.difference),
    steps: said,
  };
}

/** What a replica says to the others; `experiment` null: none was started. */
export function shareMessage(replica: string, experiment: Experiment | null, from: number): ShareExperimentResponse {
  if (experiment === null) return { replica };
  return {
    replica,
    experiment: experimentMessage(experiment),
    blocks: experiment.blocks.map((b) => ({
      block: b.block,
      flow_us: b.flowUs,
      ended: b.ended,
      ttfb_us: b.ttfbUs,
      answers: b.answers,
    })),
    pairs: experiment.pairs.length,
    given: experiment.pairs.slice(from, from + MOST_PAIRS).map((p) => ({
      cycle: p.cycle,
      duration: p.duration ?? Number.NaN,
      ttfb: p.ttfb ?? Number.NaN,
    })),
  };
}

const orNull = (v: number): number | null => (Number.isNaN(v) ? null : v);

/** What another replica said; null: it has no experiment, or one that this release does not know. */
export function shareOf(r: ShareExperimentResponse__Output, from: number): Share | null {
  const e = r.experiment;
  const verdict = VERDICTS.find((v: Verdict) => v === e?.verdict);
  if (!e || verdict === undefined) return null;
  return {
    replica: r.replica,
    spec: {
      id: e.id,
      vip: e.vip,
      candidate: e.candidate,
      baseline: e.baseline,
      share: e.share,
      seed: e.seed,
      startedAt: Number(e.started_at_unix_ms),
      blockMs: e.block_ms,
      deadline: Number(e.deadline_unix_ms),
      by: e.by,
      reason: e.reason,
    },
    standing: { verdict, why: e.why, endedAt: Number(e.ended_at_unix_ms) },
    blocks: r.blocks.map((b) => ({
      block: b.block,
      flowUs: b.flow_us,
      ended: b.ended,
      ttfbUs: b.ttfb_us,
      answers: b.answers,
    })),
    pairs: r.pairs,
    from,
    given: r.given.map((p) => ({ cycle: p.cycle, duration: orNull(p.duration), ttfb: orNull(p.ttfb) })),
  };
}
