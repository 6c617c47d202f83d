// SPDX-License-Identifier: Apache-2.0
// Whether this process runs. Stopped, swapped out or starved, it sees deadlines pass that no server missed: the time for which it stood
// still is taken off what a check waited.

/** How often it looks at the clock. */
export const PACE_MS = 20;
/** Timers are this late on a machine with work to do; more is standing still. */
const SLACK_MS = 20;

export class Pace {
  #at: number;
  #still = 0;

  constructor(private readonly now: () => number) {
    this.#at = now();
  }

  /** Call every PACE_MS. */
  beat(): void {
    const now = this.now();
    this.#still += this.#gap(now);
    this.#at = now;
  }

  /** Milliseconds for which the process stood still so far; the difference of two is that of the time between. */
  still(): number {
    return this.#still + this.#gap(this.now());
  }

  #gap(now: number): number {
    const over = now - this.#at - PACE_MS;
    return over > SLACK_MS ? over : 0;
  }
}
