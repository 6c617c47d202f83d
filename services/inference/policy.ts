// SPDX-License-Identifier: Apache-2.0
// What a policy is: observations of one or many load balancers in, weights out. The heuristics are the core's.
import { heuristics, type NativePolicy, stepHeuristic } from "../common/native/policies.js";

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
  /** [n] seconds; NaN: nothing was answered. */
  latency: Float32Array;
  /** Seconds that the step took; 0 without one. */
  dt: number;
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
  /** Decides at native steps only: between them its last answer stands. */
  readonly stepped: boolean;
  /** The weights that a model's offsets are added to; null: it is no model. */
  readonly base: "kalman" | "configured" | null;
  /** One step for each of the batch; states[i] has n_i * stateSize floats. */
  decide(batch: readonly Observation[], states: readonly Float32Array[]): Output[] | Promise<Output[]>;
}

function heuristic({ name, help, stateSize }: NativePolicy): Policy {
  return {
    name,
    kind: "builtin",
    note: help,
    stateSize,
    stepped: stateSize > 0,
    base: null,
    decide: (batch, states) => batch.map((o, i) => ({ ...stepHeuristic(name, o, states[i] as Float32Array), bias: null })),
  };
}

export const BUILTIN: readonly Policy[] = heuristics.map(heuristic);

/** The policy that decides where another cannot. */
export const kalman = BUILTIN.find((p) => p.name === "kalman") as Policy;
