// SPDX-License-Identifier: Apache-2.0
// Servers that share their cores among their flows, chosen by shortest expected delay, on a machine that stands still now and then: what piled
// up in a server stays there for a while whoever rules.
import type { GuardCounts } from "../guardrail.js";

const PART_MS = 50;
const WORK_MS = 400;
const CORES = [2, 2, 8, 8];
/** The envelope's bound for trust "hint": e^1.5 up and down. */
const INVERTED = [20, 20, 1, 1];
/** A share changes by a factor of 2 at most in a tick. */
const TICK_MS = 200;
const RATE = 2;
/** Between two stalls, and of one. */
const BETWEEN_MS = 6000;
const STALL_MS = 1200;

export class Queues {
  harmful = false;
  readonly #left: number[][] = CORES.map(() => []);
  readonly #counts: GuardCounts = { flowUs: 0, newFlows: 0, ended: 0, ttfbUs: 0, answers: 0 };
  readonly #weights = CORES.map((c) => c);
  #stalled = 0;
  #due = 0;
  #toTick = 0;

  /** `draw`: 0 to 1. */
  constructor(private readonly draw: () => number) {}

  /** Twenty flows come a second; what a stall kept back comes after it. */
  step(ms: number, reference: boolean): GuardCounts {
    const wanted = this.harmful && !reference ? INVERTED : CORES;
    for (let at = 0; at < ms; at += PART_MS) {
      this.#due++;
      if (this.#stalled <= 0 && this.draw() < PART_MS / BETWEEN_MS) this.#stalled = this.draw() * STALL_MS;
      this.#stalled -= PART_MS;
      if (this.#stalled <= 0) this.#serve(wanted);
      this.#counts.flowUs += this.#left.reduce((n, flows) => n + flows.length, 0) * PART_MS * 1000;
    }
    return { ...this.#counts };
  }

  #serve(wanted: readonly number[]): void {
    if (++this.#toTick * PART_MS >= TICK_MS) this.#tick(wanted);
    const weights = this.#weights;
    for (; this.#due > 0; this.#due--) {
      const delay = this.#left.map((flows, i) => (flows.length + this.draw()) / (weights[i] as number));
      this.#left[delay.indexOf(Math.min(...delay))]?.push(WORK_MS);
      this.#counts.newFlows++;
    }
    this.#left.forEach((flows, i) => {
      const done = PART_MS * Math.min(1, (CORES[i] as number) / flows.length);
      const still = flows.map((left) => left - done).filter((left) => left > 0);
      this.#counts.ended += flows.length - still.length;
      this.#left[i] = still;
    });
  }

  /** The envelope's rate clamp. */
  #tick(wanted: readonly number[]): void {
    this.#toTick = 0;
    const sum = wanted.reduce((a, b) => a + b, 0);
    const have = this.#weights.reduce((a, b) => a + b, 0);
    wanted.forEach((w, i) => {
      const now = (this.#weights[i] as number) / have;
      this.#weights[i] = Math.min(RATE * now, Math.max(now / RATE, w / sum));
    });
  }
}
