// SPDX-License-Identifier: Apache-2.0
// What happened, newest last, bounded.
import type { ConsoleEvent } from "./wire.js";

const KEEP = 2000;

export class EventLog {
  #all: ConsoleEvent[] = [];
  #next = 1;

  add(e: Omit<ConsoleEvent, "id">): void {
    const event = { ...e, id: this.#next++ };
    // An operator's order is read after it was made.
    let i = this.#all.length;
    while (i > 0 && (this.#all[i - 1] as ConsoleEvent).at > event.at) i--;
    this.#all.splice(i, 0, event);
    if (this.#all.length > KEEP) this.#all.shift();
  }

  all(): readonly ConsoleEvent[] {
    return this.#all;
  }

  /** Those added after the event `id`, at most `limit` of the newest. */
  since(id: number, limit = 200): ConsoleEvent[] {
    return this.#all.filter((e) => e.id > id).slice(-limit);
  }

  get last(): number {
    return this.#next - 1;
  }
}
