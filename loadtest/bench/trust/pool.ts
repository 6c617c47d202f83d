// SPDX-License-Identifier: Apache-2.0
// A pool whose flows pile up where too many are sent, as counts, half a second at a time: what the guardrail does changes what it sees
// next. Made up. A server ends each flow after a while, and all of them no faster than its capacity.
import { normals } from "../../../services/common/trial/draws.js";
import type { GuardCounts } from "../../../services/common/trial/guardrail.js";

export const STEP_MS = 500;
const PARTS = 5;
const RATE = 500;
const FLOW_S = 0.08;
const CAPACITIES = [60, 60, 60, 60, 120, 120, 120, 120];
/** The reference knows a capacity so much later. */
const LEARNS_S = 2;

export type Harm = "frozen" | "inverted" | "all to one";
export const HARMS: readonly Harm[] = ["frozen", "inverted", "all to one"];

const shares = (weights: readonly number[]): number[] => {
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
};

const HARMFUL: Record<Harm, readonly number[]> = {
  frozen: shares(CAPACITIES),
  inverted: shares(CAPACITIES.map((c) => 1 / c)),
  "all to one": shares(CAPACITIES.map((_, i) => (i === 0 ? 20 : 1))),
};

export class Pool {
  readonly #counts: GuardCounts = { flowUs: 0, newFlows: 0, ended: 0, ttfbUs: 0, answers: 0 };
  readonly #draw: () => number;
  readonly #flows = CAPACITIES.map(() => 0);
  readonly #known = [...CAPACITIES];
  #capacities = CAPACITIES;
  #flowS = FLOW_S;
  #harm: Harm | null = null;

  constructor(seed: number) {
    this.#draw = normals(seed);
  }

  /** The policy is harmful from now on. What it froze before is wrong from now on: two servers are slower. */
  harm(kind: Harm): void {
    this.#harm = kind;
    if (kind === "frozen") this.#capacities = CAPACITIES.map((c, i) => (i < 2 ? c / 3 : c));
  }

  /** A database behind all servers: each flow takes so many times as long, whoever places it. */
  slowAlike(factor: number): void {
    this.#flowS = FLOW_S * factor;
  }

  step(reference: boolean): GuardCounts {
    const s = STEP_MS / 1000 / PARTS;
    const to = this.#harm === null || reference ? shares(this.#known) : HARMFUL[this.#harm];
    for (let part = 0; part < PARTS; part++) {
      to.forEach((share, i) => {
        const flows = this.#flows[i] as number;
        const capacity = this.#capacities[i] as number;
        const came = this.#poisson(RATE * share * s);
        const ended = Math.min(flows, this.#poisson(Math.min(flows / this.#flowS, capacity) * s));
        this.#flows[i] = flows + came - ended;
        this.#known[i] = (this.#known[i] as number) + (capacity - (this.#known[i] as number)) * (s / LEARNS_S);
        this.#counts.newFlows += came;
        this.#counts.ended += ended;
        this.#counts.flowUs += (this.#flows[i] as number) * s * 1e6;
      });
    }
    return { ...this.#counts };
  }

  #poisson(mean: number): number {
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.#draw()));
  }
}
