// SPDX-License-Identifier: Apache-2.0
// The strategies that a model is compared with, each as its authors meant it. Sources: docs/evaluation.md.

export interface Baseline {
  /** As in a row's id. */
  id: string;
  name: string;
  strategy: string;
}

/** Whose best, scenario by scenario and in hindsight, a model is held against: what a load balancer can run with what it knows. */
export const heuristics: readonly Baseline[] = [
  { id: "sed", name: "SED", strategy: "SED" },
  { id: "sed_1m", name: "SED, kappa 1/M", strategy: "static+sed@kappa=1/M" },
  { id: "lsq", name: "LSQ (least connections)", strategy: "LSQ" },
  { id: "p2c", name: "two choices by weight", strategy: "static+p2c" },
  { id: "peak_ewma", name: "peak EWMA, two choices", strategy: "peak-ewma+p2c" },
  { id: "kalman", name: "Kalman", strategy: "kalman+sed" },
];

/** Others of the literature: their own signals, or weights alone. */
export const others: readonly Baseline[] = [
  { id: "hlb", name: "HLB", strategy: "hlb+sed" },
  { id: "knapsack", name: "KnapsackLB, random split", strategy: "knapsack+alias" },
  { id: "knapsack_sed", name: "KnapsackLB's weights, SED", strategy: "knapsack+sed" },
  { id: "prequal", name: "Prequal (probes)", strategy: "Prequal" },
  { id: "ecmp", name: "ECMP", strategy: "ECMP" },
  { id: "wcmp", name: "WCMP", strategy: "WCMP" },
];

/** What no load balancer can know. */
export const truths: readonly Baseline[] = [
  { id: "oracle", name: "oracle", strategy: "oracle" },
  { id: "true_1m", name: "true capacities, kappa 1/M", strategy: "true+sed@kappa=1/M" },
];

export const strategiesOf = (list: readonly Baseline[]): string[] => list.map((b) => b.strategy);
