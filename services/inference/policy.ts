// SPDX-License-Identifier: Apache-2.0
// What a policy is: observations of one or many load balancers in, weights out.

/** One load balancer's VIP at one native step. Arrays follow the frame's servers. */
export interface Observation {
  n: number;
  /** [n * server features]. */
  server: Float32Array;
  /** [pool features]. */
  pool: Float32Array;
  /** Kalman's weights, mean 1. */
  kalman: Float32Array;
  weightStatic: Float32Array;
  /** [n] in 0..1: where this load balancer stands with each server among those that share the pool. */
  stratum: Float32Array;
  /** The choice counts the other load balancers' flows too. */
  shared: boolean;
}

export interface Output {
  weights: Float32Array;
  /** Flows; null = none. */
  bias: Float32Array | null;
  /** Flows; 0 = 1 / load balancers. */
  kappa: number;
  /** [n * state size] after the step. */
  state: Float32Array;
}

export interface Policy {
  readonly name: string;
  readonly kind: "builtin" | "onnx";
  readonly note: string;
  /** Floats of recurrent state a server. */
  readonly stateSize: number;
  /** The weights that a model's offsets are added to; null: it is no model. */
  readonly base: "kalman" | "configured" | null;
  /** One step for each of the batch; states[i] has n_i * stateSize floats. */
  decide(batch: readonly Observation[], states: readonly Float32Array[]): Output[] | Promise<Output[]>;
}

const NO_STATE = new Float32Array(0);

function builtin(name: string, note: string, kappa: number, weights: (o: Observation) => Float32Array): Policy {
  return {
    name,
    kind: "builtin",
    note,
    stateSize: 0,
    base: null,
    decide: (batch) => batch.map((o) => ({ weights: weights(o), bias: null, kappa, state: NO_STATE })),
  };
}

// As baselines uniform and static keep kappa 1, as LSQ and SED have it; Kalman takes 1 / load balancers.
export const kalman: Policy = builtin("kalman", "a Kalman filter over each server's speed, from own counts", 0, (o) =>
  Float32Array.from(o.kalman),
);

export const BUILTIN: readonly Policy[] = [
  builtin("uniform", "the same weight for every server", 1, (o) => new Float32Array(o.n).fill(1)),
  builtin("static", "the configured weights", 1, (o) => Float32Array.from(o.weightStatic)),
  kalman,
];
