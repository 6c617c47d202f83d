// SPDX-License-Identifier: Apache-2.0
// Whether a service can do its work now, and why not. It serves its RPCs all the same: nobody who starts it may wait for this, since
// services become ready by each other.

/** Why not, as people read it; null: it can. */
export type WhyNot = () => string | null;

const LOOK_MS = 100;

export class Readiness {
  readonly #ask: WhyNot;
  readonly #changed: (why: string | null) => void;
  readonly #timer: NodeJS.Timeout;
  #last: string | null | undefined;

  /** `changed` hears the first answer at once, and each that differs from the one before. */
  constructor(ask: WhyNot, changed: (why: string | null) => void) {
    this.#ask = ask;
    this.#changed = changed;
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
    this.look();
  }

  /** The answer of this moment. */
  look(): string | null {
    let why: string | null;
    try {
      why = this.#ask();
    } catch (e) {
      why = (e as Error).message;
    }
    if (why !== this.#last) {
      this.#last = why;
      this.#changed(why);
    }
    return why;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
