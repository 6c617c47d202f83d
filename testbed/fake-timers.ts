// SPDX-License-Identifier: Apache-2.0
import type { Timers } from "../services/common/stream.js";

/** Virtual time. */
export class FakeTimers implements Timers {
  time = 0;
  private next = 1;
  private readonly due = new Map<number, { at: number; fn: () => void }>();
  now = (): number => this.time;
  setTimeout = (fn: () => void, ms: number): number => {
    this.due.set(this.next, { at: this.time + ms, fn });
    return this.next++;
  };
  clearTimeout = (id: unknown): void => void this.due.delete(id as number);
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const first = [...this.due].filter(([, d]) => d.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!first) break;
      this.due.delete(first[0]);
      this.time = first[1].at;
      first[1].fn();
    }
    this.time = end;
  }
}
