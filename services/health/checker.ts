// SPDX-License-Identifier: Apache-2.0
// Runs the checks: each address on its own period with jitter, so that thousands of servers are not checked at one moment.
import type { CheckResult } from "./verdict.js";

export interface CheckerOptions {
  intervalMs: number;
  /** Share of the interval by which a period may differ, 0..0.9. */
  jitter: number;
  check(address: string): Promise<CheckResult>;
  onResult(address: string, result: CheckResult): void;
  /** Uniform in [0, 1). */
  random(): number;
}

export class Checker {
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(private readonly o: CheckerOptions) {}

  add(address: string): void {
    if (!this.timers.has(address)) this.schedule(address, this.o.random() * Math.min(this.o.intervalMs, 100));
  }

  remove(address: string): void {
    clearTimeout(this.timers.get(address));
    this.timers.delete(address);
  }

  stop(): void {
    for (const address of [...this.timers.keys()]) this.remove(address);
  }

  private schedule(address: string, ms: number): void {
    const timer = setTimeout(() => {
      this.o.check(address).then((result) => {
        if (this.timers.get(address) !== timer) return; // removed, or removed and added again, meanwhile
        this.o.onResult(address, result);
        this.schedule(address, this.o.intervalMs * (1 + this.o.jitter * (2 * this.o.random() - 1)));
      });
    }, ms);
    this.timers.set(address, timer);
  }
}
