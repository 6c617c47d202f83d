// SPDX-License-Identifier: Apache-2.0
import { Counter, Gauge, Histogram, type Registry } from "../common/metrics.js";

export function inferenceMetrics(registry: Registry, streams: () => number) {
  const registers = [registry];
  new Gauge({
    name: "marllb_inference_streams",
    help: "VIPs that are steered",
    registers,
    collect() {
      this.set(streams());
    },
  });
  return {
    answers: new Counter({
      name: "marllb_inference_answers_total",
      help: "Weight vectors sent",
      labelNames: ["policy", "ladder"],
      registers,
    }),
    refused: new Counter({ name: "marllb_inference_frames_refused_total", help: "Frames that could not be read", registers }),
    failures: new Counter({
      name: "marllb_inference_failures_total",
      help: "Steps in which a policy failed",
      labelNames: ["policy"],
      registers,
    }),
    outOfRange: new Gauge({
      name: "marllb_inference_out_of_range",
      help: "Share of features beyond the trained range, last step",
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
