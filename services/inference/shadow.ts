// SPDX-License-Identifier: Apache-2.0
// A second policy that decides on the same observations and is never applied. It runs after the answer is on its way, one step at a
// time; one that is slow, hangs or fails is cut off for good, and then costs nothing.
import { EMPTY, type PolicyState, rowsFor } from "./checkpoint.js";
import type { Observation, Output, Policy } from "./policy.js";

export interface ShadowOptions {
  policy: Policy;
  tickMs: number;
  nowMs(): number;
  /** CPU time of this process, ms. */
  cpuMs(): number;
  onCut(why: string): void;
}

/** What a step of the policy in force saw, and what it decided. */
export interface Seen {
  observation: Observation;
  ids: Uint32Array;
  /** A native step was due. */
  stepped: boolean;
  weights: Float32Array;
}

export interface ShadowDecision {
  ids: Uint32Array;
  /** Of their sum. */
  shares: Float64Array;
  output: Output;
  /** Of the shares from those in force. */
  distance: number;
}

/** Of a core, as the mean over so many steps. */
const SHARE = 0.01;
const OVER_STEPS = 64;
const FAILURES = 3;
/** Ticks without an answer. */
const HUNG = 5;

export function sharesOf(weights: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(weights);
  const sum = out.reduce((a, b) => a + b, 0);
  return sum > 0 ? out.map((w) => w / sum) : out;
}

/** Half the sum of the shares' differences: 0 = the same, 1 = nothing in common. */
export const apart = (a: Float64Array, b: Float64Array): number => a.reduce((n, v, i) => n + Math.abs(v - (b[i] ?? 0)), 0) / 2;

export class Shadow {
  /** Its memory; it goes on with it where it becomes the policy in force. */
  state: PolicyState = EMPTY;
  latest: ShadowDecision | null = null;
  /** Why it was cut off; empty: it runs. */
  cut = "";
  steps = 0;
  /** Mean CPU time of a step, ms. */
  costMs = 0;
  #failures = 0;
  #since: number | null = null;

  constructor(private readonly o: ShadowOptions) {}

  get name(): string {
    return this.o.policy.name;
  }

  /** Never throws, and never waits for a step that hangs. */
  async step({ observation, ids, stepped, weights }: Seen): Promise<void> {
    const { policy, tickMs, nowMs } = this.o;
    if (this.cut !== "" || (policy.stepped && !stepped)) return;
    if (this.#since !== null) {
      if (nowMs() - this.#since > HUNG * tickMs) this.#end(`it did not answer for ${HUNG} ticks`);
      return;
    }
    this.#since = nowMs();
    try {
      const output = await this.#decide(observation, ids);
      if (this.cut !== "") return;
      this.#failures = 0;
      this.state = { size: policy.stateSize, ids, values: output.state };
      const shares = sharesOf(output.weights);
      this.latest = { ids, shares, output, distance: apart(shares, sharesOf(weights)) };
    } catch (e) {
      if (++this.#failures >= FAILURES) this.#end(`it failed ${FAILURES} times in a row: ${(e as Error).message}`);
    } finally {
      this.#since = null;
    }
  }

  async #decide(observation: Observation, ids: Uint32Array): Promise<Output> {
    const { policy, cpuMs } = this.o;
    const before = cpuMs();
    const answer = policy.decide([observation], [rowsFor(this.state, ids, policy.stateSize)]);
    this.#cost(cpuMs() - before);
    const [output] = await answer;
    if (!output) throw new Error("it decided nothing");
    const { weights, bias, state } = output;
    const finite = (bias?.every(Number.isFinite) ?? true) && state.every(Number.isFinite);
    const good = finite && weights.length === ids.length && weights.every((w) => Number.isFinite(w) && w >= 0);
    if (!good) throw new Error("its output is not finite");
    return output;
  }

  #cost(ms: number): void {
    this.steps++;
    this.costMs += (ms - this.costMs) / Math.min(this.steps, OVER_STEPS);
    const { tickMs } = this.o;
    if (ms > tickMs) this.#end(`one step took ${ms.toFixed(0)} ms of CPU, more than a tick`);
    else if (this.steps >= OVER_STEPS && this.costMs > SHARE * tickMs)
      this.#end(`it takes ${this.costMs.toFixed(2)} ms of CPU a tick, more than ${100 * SHARE} % of a core`);
  }

  #end(why: string): void {
    if (this.cut !== "") return;
    this.cut = why;
    this.latest = null;
    this.state = EMPTY;
    this.o.onCut(why);
  }
}
