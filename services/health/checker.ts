// SPDX-License-Identifier: Apache-2.0
// Runs the checks: each on its own period, spread over it, so that thousands of servers are not checked at one moment. A check that several
// servers or VIPs ask for in the same words runs once.
import type { PlannedCheck } from "../common/checks/plan.js";
import type { CheckResult } from "./verdict.js";

export interface CheckerOptions {
  check(check: PlannedCheck): Promise<CheckResult>;
  onResult(check: PlannedCheck, result: CheckResult): void;
  /** A check began this much later than it was due, ms. */
  onStart?(lateMs: number): void;
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
}

/** First checks begin this far apart: all at once they would hold up each other, and be late. */
const FIRST_GAP_MS = 0.2;

interface Running {
  check: PlannedCheck;
  timer: NodeJS.Timeout | undefined;
  dueAt: number;
  first: boolean;
}

export class Checker {
  readonly #running = new Map<string, Running>();
  #nextFirst = 0;

  constructor(private readonly o: CheckerOptions) {}

  get size(): number {
    return this.#running.size;
  }

  add(check: PlannedCheck): void {
    if (this.#running.has(check.key)) return;
    const now = this.o.now();
    this.#nextFirst = Math.max(now, this.#nextFirst + FIRST_GAP_MS);
    const r: Running = { check, timer: undefined, dueAt: 0, first: true };
    this.#running.set(check.key, r);
    this.#schedule(r, this.#nextFirst);
  }

  remove(key: string): void {
    clearTimeout(this.#running.get(key)?.timer);
    this.#running.delete(key);
  }

  stop(): void {
    for (const key of [...this.#running.keys()]) this.remove(key);
  }

  #schedule(r: Running, at: number): void {
    r.dueAt = at;
    r.timer = setTimeout(() => this.#start(r), Math.max(0, at - this.o.now()));
  }

  #start(r: Running): void {
    this.o.onStart?.(this.o.now() - r.dueAt);
    this.o.check(r.check).then((result) => {
      const current = (): boolean => this.#running.get(r.check.key) === r;
      if (!current()) return; // removed, or removed and added again, meanwhile
      this.o.onResult(r.check, result);
      if (current()) this.#schedule(r, this.#next(r)); // what it told may have removed it
    });
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
