// SPDX-License-Identifier: Apache-2.0
// The servers of the last answers together. A name server may answer with some of the servers at a time, and others at the next; one that
// an answer lacks stays until the answers have lacked it for a while.
import type { Timers } from "../../common/stream.js";
import type { Found } from "./found.js";

interface Held {
  server: Found;
  /** The first answer in a row without it; null: the last answer has it. */
  missing: number | null;
}

export class Holding {
  readonly #held = new Map<string, Held>();
  #timer: unknown = null;

  /** `changed` hears the servers after each answer, and (`fresh` false) when one has been missing for `holdMs`. */
  constructor(private readonly o: { timers: Timers; holdMs: number; changed(list: Found[], fresh: boolean): void }) {}

  /** An answer with servers. */
  take(list: readonly Found[]): void {
    const now = this.o.timers.now();
    const there = new Set(list.map((s) => s.address));
    for (const [address, h] of this.#held) if (!there.has(address)) h.missing ??= now;
    for (const server of list) this.#held.set(server.address, { server, missing: null });
    this.#settle(now, true);
  }

  stop(): void {
    this.o.timers.clearTimeout(this.#timer);
  }

  #settle(now: number, fresh: boolean): void {
    this.o.timers.clearTimeout(this.#timer);
    let next = Number.POSITIVE_INFINITY;
    for (const [address, { missing }] of this.#held) {
      if (missing === null) continue;
      if (now - missing >= this.o.holdMs) this.#held.delete(address);
      else next = Math.min(next, missing + this.o.holdMs);
    }
    if (next < Number.POSITIVE_INFINITY)
      this.#timer = this.o.timers.setTimeout(() => this.#settle(this.o.timers.now(), false), next - now);
    this.o.changed(
      [...this.#held.values()].map((h) => h.server),
      fresh,
    );
  }
}
