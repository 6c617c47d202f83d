// SPDX-License-Identifier: Apache-2.0
// Experiments as messages. Pure.
import type { Experiment as ExperimentMessage } from "../../gen/marllb/v1/Experiment.js";
import type { ShareExperimentResponse, ShareExperimentResponse__Output } from "../../gen/marllb/v1/ShareExperimentResponse.js";
import { type Experiment, VERDICTS, type Verdict } from "../common/trial/experiment.js";
import { METRICS } from "../common/trial/measure.js";
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
