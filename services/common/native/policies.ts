// SPDX-License-Identifier: Apache-2.0
// The core's heuristic policies.
import { addon, type NativePolicy, native, type PolicyStep } from "./addon.js";

export type { NativePolicy, PolicyStep } from "./addon.js";

/** In the order of names. */
export const heuristics: readonly NativePolicy[] = addon.policies();

/** One decision; `state` has stateSize floats a server, all 0 for a new one. */
export function stepHeuristic(
  name: string,
  observation: Parameters<typeof addon.policyStep>[1],
  state: Float32Array,
): PolicyStep {
  return native(() => addon.policyStep(name, observation, state));
}
