// SPDX-License-Identifier: Apache-2.0
// inference's explanation as the page draws it: what was configured, what Kalman makes of it, what the policy made of that. Shares, so
// that the three can be compared. Pure.
import type { ExplainResponse__Output as Explain } from "../../gen/marllb/v1/ExplainResponse.js";
import type { Explained, ServerNow } from "./wire.js";

/** Weights as shares of their sum. */
function shares(weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => (sum > 0 ? w / sum : 0));
}

export function explained(r: Explain, servers: readonly ServerNow[], at: number): Explained {
  const configuredOf = new Map(servers.map((s) => [s.address, s.weight]));
  const configured = shares(r.servers.map((s) => configuredOf.get(s.address) ?? 0));
  const kalman = shares(r.servers.map((s) => s.kalman));
  const weight = shares(r.servers.map((s) => s.weight));
  return {
    policy: r.policy,
    at,
    outOfRange: r.out_of_range,
    features: r.feature_names,
    pool: r.pool_feature_names.map((name, i) => ({ name, value: r.pool_features[i] ?? 0 })),
    servers: r.servers.map((s, i) => ({
      address: s.address,
      configured: configured[i] as number,
      kalman: kalman[i] as number,
      weight: weight[i] as number,
      bias: s.bias,
      features: s.features,
      reason: s.reason,
    })),
  };
}
