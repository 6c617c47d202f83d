// SPDX-License-Identifier: Apache-2.0
// What the policy saw of each server in its last step, and why it gave what it gave.
import type { ExplainResponse } from "../../gen/marllb/v1/ExplainResponse.js";
import type { FrameView } from "../common/native/frame.js";
import type { LastStep } from "./session.js";

export interface FeatureNames {
  server: readonly string[];
  pool: readonly string[];
}

/** Features are centred on the pool's: beyond this a server stands out. */
const STANDS_OUT = 0.5;

export function explain(last: LastStep, view: FrameView, names: FeatureNames): ExplainResponse {
  const { observation, output } = last;
  const F = names.server.length;
  const mean = average(output.weights);
  const configured = average(observation.weightStatic);
  return {
    policy: last.asked,
    frame_seq: last.frame.seq,
    feature_names: [...names.server],
    pool_feature_names: [...names.pool],
    pool_features: Array.from(observation.pool),
    out_of_range: last.outOfRange,
    servers: view.addresses().map((address, i) => {
      const features = Array.from(observation.server.subarray(i * F, (i + 1) * F));
      const weight = (output.weights[i] as number) / mean;
      const kalman = observation.kalman[i] as number;
      const from = last.base === "configured" ? (observation.weightStatic[i] as number) / configured : kalman;
      return {
        server_id: view.ids[i] as number,
        address,
        weight,
        bias: output.bias?.[i] ?? 0,
        kalman,
        features,
        reason: reason(last, weight, from, features, names.server),
      };
    }),
  };
}

function average(v: Float32Array): number {
  const sum = v.reduce((a, b) => a + b, 0);
  return sum > 0 ? sum / v.length : 1;
}

/** from: the weight that the policy started from, over its mean. */
function reason(last: LastStep, weight: number, from: number, features: readonly number[], names: readonly string[]): string {
  const { asked: policy, fellBack, base, note } = last;
  const than = `${weight.toFixed(2)} of the pool's mean weight`;
  if (fellBack !== "") return `${than}: Kalman's, because ${policy} failed: ${fellBack}`;
  const standing = features
    .map((value, i) => ({ value, name: names[i] as string }))
    .filter((f) => Math.abs(f.value) >= STANDS_OUT)
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
    .slice(0, 3)
    .map((f) => `${f.name} ${f.value > 0 ? "+" : ""}${f.value.toFixed(2)}`);
  const seen = standing.length > 0 ? `stands out by ${standing.join(", ")}` : "stands out by nothing";
  if (base === null) return `${than}: ${note}; ${seen}`;
  const moved = from > 0 ? (weight / from - 1) * 100 : 0;
  const whose = base === "configured" ? "the configured" : "Kalman's";
  return `${than}, ${moved >= 0 ? "+" : ""}${moved.toFixed(0)} % on ${whose} ${from.toFixed(2)}; ${seen}`;
}
