// SPDX-License-Identifier: Apache-2.0
// Runs the checks: each on its own period, spread over it, so that thousands of servers are not checked at one moment. A check that several
// servers or VIPs ask for in the same words runs once.
import type { PlannedCheck } from "../common/checks/plan.js";
import type { CheckResult } from "./verdict.js";
import { Timed, type Wheel } from "./wheel.js";

export interface CheckerOptions {
  wheel: Wheel;
  /** Begins a check; `end` is called once with its result. Returns what ends it without one. */
  check(check: PlannedCheck, end: (r: CheckResult) => void): () => void;
  onResult(check: PlannedCheck, result: CheckResult): void;
  /** A check began this much later than it was due, ms. */
  onStart?(lateMs: number): void;
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
}

/** First checks begin this far apart: all at once they would hold up each other, and be late. */
const FIRST_GAP_MS = 0.2;

/** One check that runs again and again: it waits for its next time, or for its result. */
class Running extends Timed {
  first = true;
  stop: (() => void) | null = null;

  constructor(
    readonly check: PlannedCheck,
    private readonly begin: (r: Running) => void,
  ) {
    super();
  }

  due(): void {
    this.begin(this);
  }
}

export class Checker {
  readonly #running = new Map<string, Running>();
  readonly #begin = (r: Running): void => this.#start(r);
  #nextFirst = 0;

  constructor(private readonly o: CheckerOptions) {}

  get size(): number {
    return this.#running.size;
  }

  add(check: PlannedCheck): void {
    if (this.#running.has(check.key)) return;
    const now = this.o.now();
    this.#nextFirst = Math.max(now, this.#nextFirst + FIRST_GAP_MS);
    const r = new Running(check, this.#begin);
    this.#running.set(check.key, r);
    this.o.wheel.set(r, this.#nextFirst);
  }

  remove(key: string): void {
    const r = this.#running.get(key);
    if (!r) return;
    this.#running.delete(key);
    this.o.wheel.cancel(r);
    r.stop?.();
  }

  stop(): void {
    for (const key of [...this.#running.keys()]) this.remove(key);
  }

  #start(r: Running): void {
    this.o.onStart?.(this.o.now() - r.dueAt);
    let over = false;
    const stop = this.o.check(r.check, (result) => {
      over = true;
      r.stop = null;
      if (!this.#runs(r)) return;
      this.o.onResult(r.check, result);
      if (this.#runs(r)) this.o.wheel.set(r, this.#next(r)); // what it told may have removed it
    });
    if (over) return;
    if (this.#runs(r)) r.stop = stop;
    else stop();
  }

  /** It was neither removed, nor removed and added again. */
  #runs(r: Running): boolean {
    return this.#running.get(r.check.key) === r;
  }

  /** On its own grid, not from the end of the last one: a slow answer does not make the period longer. */
  #next(r: Running): number {
    const { intervalMs, jitter } = r.check;
    const { random } = this.o;
    const now = this.o.now();
    // The first ones came in a row: the second ones are spread over the whole period.
    const spread = r.first ? 1 - random() : 1 + jitter * (2 * random() - 1);
    r.first = false;
    return Math.max(now, r.dueAt + intervalMs * spread);
  }
}
