// SPDX-License-Identifier: Apache-2.0
// The history of an operator's orders, and what may be in force after it (as Jepsen judges registers): the last order answered OK, or
// one that was asked after it, or beside it, and whose fate is not known.

export type Fate = "ok" | "refused" | "unknown";

interface Order {
  value: string;
  asked: number;
  /** Infinity while its fate is unknown: it may still take effect. */
  answered: number;
  fate: Fate;
}

/** One thing that orders set: a server's drain, a VIP's override. Times are of one clock, in any unit. */
export class Register {
  #orders: Order[];

  constructor(initial: string) {
    this.#orders = [{ value: initial, asked: Number.NEGATIVE_INFINITY, answered: Number.NEGATIVE_INFINITY, fate: "ok" }];
  }

  /** Returns how to say its fate. */
  ask(value: string, now: number): (fate: Fate, now: number) => void {
    const order: Order = { value, asked: now, answered: Number.POSITIVE_INFINITY, fate: "unknown" };
    this.#orders.push(order);
    return (fate, at) => {
      order.fate = fate;
      if (fate !== "unknown") order.answered = at;
    };
  }

  /** Values that may be in force: of orders that no order answered OK followed as a whole. */
  possible(): Set<string> {
    const settled = Math.max(...this.#orders.filter((o) => o.fate === "ok").map((o) => o.asked));
    return new Set(this.#orders.filter((o) => o.fate !== "refused" && o.answered >= settled).map((o) => o.value));
  }

  /** `value` was seen in force while nothing was under way: the history begins anew. false: no order explains it. */
  seen(value: string, now: number): boolean {
    const fine = this.possible().has(value);
    this.#orders = [{ value, asked: now, answered: now, fate: "ok" }];
    return fine;
  }
}
