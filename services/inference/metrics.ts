// SPDX-License-Identifier: Apache-2.0
import { Counter, Histogram, type Registry, readGauge } from "../common/metrics.js";
import { STEPS } from "../common/trial/guardrail.js";
import { LADDER_STEPS, ladderWord } from "../common/vocabulary.js";
import { type TrustFigures, trustMetrics } from "./trust-metrics.js";

export interface InferenceFigures {
  /** VIPs that are steered. */
  streams(): number;
  /** Share of features beyond the trained range, the worst of the last steps. */
  outOfRange(): number;
  /** Policies that the configuration names. */
  policies: readonly string[];
  /** VIPs that it names. */
  vips: readonly string[];
  trust: TrustFigures;
}

export function inferenceMetrics(registry: Registry, figures: InferenceFigures) {
  const registers = [registry];
  readGauge(registry, "marllb_inference_streams", "VIPs that are steered", [], (say) => say({}, figures.streams()));
  const range = "Share of features beyond the trained range in the last step, of the VIP where it is largest";
  readGauge(registry, "marllb_inference_out_of_range_ratio", range, [], (say) => say({}, figures.outOfRange()));
  const { policies, vips } = figures;
  trustMetrics(registry, figures.trust);
  return {
    answers: new Counter({
      name: "marllb_inference_answers_total",
      help: "Weight vectors sent",
      labelNames: ["policy", "ladder"],
      registers,
      born: policies.flatMap((policy) => LADDER_STEPS.slice(0, 2).map((s) => ({ policy, ladder: ladderWord(s) }))),
    }),
    refused: new Counter({ name: "marllb_inference_frames_refused_total", help: "Frames that could not be read", registers }),
    failures: new Counter({
      name: "marllb_inference_failures_total",
      help: "Steps in which a policy failed",
      labelNames: ["policy"],
      registers,
      born: policies.map((policy) => ({ policy })),
    }),
    shadowsCut: new Counter({
      name: "marllb_shadows_cut_total",
      help: "Shadow policies that were cut off: slow, hung or broken",
      labelNames: ["vip"],
      registers,
      born: vips.map((vip) => ({ vip })),
    }),
    guardrail: new Counter({
      name: "marllb_guardrail_steps_total",
      help: "Steps of the guardrail: the policy is suspected, withdrawn and reintroduced by turns, then cleared or down, and later again",
      labelNames: ["vip", "step"],
      registers,
      born: vips.flatMap((vip) => STEPS.map((step) => ({ vip, step }))),
    }),
    logTicks: new Counter({ name: "marllb_decision_log_ticks_total", help: "Ticks written to the decision logs", registers }),
    logBytes: new Counter({ name: "marllb_decision_log_bytes_total", help: "Bytes written to the decision logs", registers }),
    logFailures: new Counter({
      name: "marllb_decision_log_failures_total",
      help: "Ticks that could not be written to the decision log",
      registers,
    }),
    seconds: new Histogram({
      name: "marllb_inference_seconds",
      help: "Frame received to answer written",
      buckets: [0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1],
      registers,
    }),
  };
}

export type InferenceMetrics = ReturnType<typeof inferenceMetrics>;
