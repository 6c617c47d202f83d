// SPDX-License-Identifier: Apache-2.0
// Traffic as counts, half a second at a time: flows that come at random, stay as long as they stay, under a load that wanders and
// bursts. Made up; it knows nothing of the scenarios' families.
import { normals, uniforms } from "../../../services/common/trial/draws.js";
import type { GuardCounts } from "../../../services/common/trial/guardrail.js";

export const STEP_MS = 500;

export interface TrafficOptions {
  seed: number;
  /** Flows a second. */
  rate: number;
  /** A flow's mean stay at the usual load. */
  meanMs: number;
  /** Standard deviation over the mean, of a flow's stay. */
  cv: number;
  /** Of the load's wandering, in standard deviations of its logarithm, and how long it remembers. */
  wander: number;
  memoryS: number;
}

export const USUAL: Omit<TrafficOptions, "seed"> = { rate: 500, meanMs: 100, cv: 1.5, wander: 0.08, memoryS: 5 };

export class Traffic {
  readonly counts: GuardCounts = { flowUs: 0, newFlows: 0, ended: 0, ttfbUs: 0, answers: 0 };
  readonly #draw: () => number;
  readonly #uniform: () => number;
  #load = 0;
  #burst = 0;

  constructor(private readonly o: TrafficOptions) {
    this.#draw = normals(o.seed);
    this.#uniform = uniforms(o.seed ^ 0x9e3779b9);
  }

  /** Half a second. `stay`: factor of how long flows stay, `rate`: of how many come. */
  step(stay: number, rate = 1, bursts = false): GuardCounts {
    const { rate: perS, meanMs, cv, wander, memoryS } = this.o;
    const keep = Math.exp(-STEP_MS / 1000 / memoryS);
    this.#load = keep * this.#load + Math.sqrt(1 - keep * keep) * wander * this.#draw();
    if (bursts && this.#burst <= 0 && this.#uniform() < STEP_MS / 3_600_000) this.#burst = 20;
    this.#burst--;
    const more = this.#burst > 0 ? 2 : 1;
    const mean = (perS * rate * more * STEP_MS) / 1000;
    const n = Math.max(0, Math.round(mean + Math.sqrt(mean) * this.#draw()));
    // Where more come, each stays longer.
    const each = meanMs * stay * Math.exp(this.#load) * (more > 1 ? 1.6 : 1);
    const ms = Math.max(0, n * each + Math.sqrt(n) * cv * each * this.#draw());
    const c = this.counts;
    c.newFlows += n;
    c.ended += n;
    c.flowUs += ms * 1000;
    c.answers += n;
    c.ttfbUs += ms * 600 * (1 + 0.02 * this.#draw());
    return { ...c };
  }
}
