// SPDX-License-Identifier: Apache-2.0
// Runs the checks: each address on its own period with jitter, so that thousands of servers are not checked at one moment.
import type { CheckResult } from "./verdict.js";

export interface CheckerOptions {
  intervalMs: number;
  /** Share of the interval by which a period may differ, 0..0.9. */
  jitter: number;
  /** Null: addresses are never checked. */
  check: ((address: string) => Promise<CheckResult>) | null;
  onResult(address: string, result: CheckResult): void;
  /** Uniform in [0, 1). */
  random(): number;
}

export class Checker {
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(private readonly o: CheckerOptions) {}

  add(address: string): void {
    const { check } = this.o;
    if (check !== null && !this.timers.has(address))
      this.schedule(address, check, this.o.random() * Math.min(this.o.intervalMs, 100));
  }

  remove(address: string): void {
    clearTimeout(this.timers.get(address));
    this.timers.delete(address);
  }

  stop(): void {
    for (const address of [...this.timers.keys()]) this.remove(address);
  }

  private schedule(address: string, check: NonNullable<CheckerOptions["check"]>, ms: number): void {
    const timer = setTimeout(() => {
      check(address).then((result) => {
        if (this.timers.get(address) !== timer) return; // removed, or removed and added again, meanwhile
        this.o.onResult(address, result);
        if (this.timers.get(address) !== timer) return; // what it told removed the address
        this.schedule(address, check, this.o.intervalMs * (1 + this.o.jitter * (2 * this.o.random() - 1)));
      });
    }, ms);
    this.timers.set(address, timer);
  }
}
