// SPDX-License-Identifier: Apache-2.0
// A timing wheel: thousands of deadlines under one timer of Node's. What waits is linked into the slot of its moment, so that setting
// and cancelling cost the same however many wait, and allocate nothing.

/** What waits is due up to this much late. */
export const STEP_MS = 2;
/** One turn is a little longer than the usual period of a check. What is due later than a turn is passed over once a turn. */
const SLOTS = 1024;

/** Something with a deadline. It waits at one wheel, once. */
export abstract class Timed {
  dueAt = 0;
  /** Neighbours in the slot; itself where it does not wait. */
  before: Timed = this;
  after: Timed = this;
  abstract due(): void;
}

class Slot extends Timed {
  due(): void {}
}

const stepOf = (time: number): number => Math.ceil(time / STEP_MS);

export class Wheel {
  readonly #slots = Array.from({ length: SLOTS }, () => new Slot());
  readonly #ripe = new Slot();
  /** Up to this step all that was due was called. */
  #done: number;
  #waiting = 0;
  #timer: NodeJS.Timeout | undefined;
  #timedFor = Number.POSITIVE_INFINITY;

  constructor(private readonly now: () => number) {
    this.#done = Math.floor(now() / STEP_MS);
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** `t.due()` is called once, at `time` or up to a step later. An earlier time of it no longer counts. */
  set(t: Timed, time: number): void {
    this.cancel(t);
    t.dueAt = time;
    const step = Math.max(this.#done + 1, stepOf(time));
    link(t, this.#slot(step));
    this.#waiting++;
    if (step < this.#timedFor) this.#wakeAt(step);
  }

  /** Nothing where it does not wait. */
  cancel(t: Timed): void {
    if (t.after === t) return;
    unlink(t);
    this.#waiting--;
  }

  /** Calls all that is due now. */
  turn(): void {
    const until = Math.floor(this.now() / STEP_MS);
    const last = Math.min(until, this.#done + SLOTS);
    for (let step = this.#done + 1; step <= last; step++) this.#ripen(this.#slot(step), until);
    this.#done = Math.max(this.#done, until);
    // One at a time: each may set and cancel others, those of this moment too.
    for (let t = this.#ripe.after; t !== this.#ripe; t = this.#ripe.after) {
      this.cancel(t);
      t.due();
    }
    this.#wake();
  }

  #slot(step: number): Slot {
    return this.#slots[step % SLOTS] as Slot;
  }

  #ripen(slot: Slot, until: number): void {
    for (let t = slot.after; t !== slot; ) {
      const next = t.after;
      if (stepOf(t.dueAt) <= until) {
        unlink(t);
        link(t, this.#ripe);
      }
      t = next;
    }
  }

  /** At the next slot in which something waits. */
  #wake(): void {
    clearTimeout(this.#timer);
    this.#timedFor = Number.POSITIVE_INFINITY;
    if (this.#waiting === 0) return;
    let step = this.#done + 1;
    while (this.#slot(step).after === this.#slot(step)) step++;
    this.#wakeAt(step);
  }

  #wakeAt(step: number): void {
    clearTimeout(this.#timer);
    this.#timedFor = step;
    this.#timer = setTimeout(() => this.turn(), Math.max(1, step * STEP_MS - this.now()));
  }
}

/** To the end of the slot: what came first is called first. */
function link(t: Timed, slot: Slot): void {
  t.before = slot.before;
  t.after = slot;
  slot.before.after = t;
  slot.before = t;
}

function unlink(t: Timed): void {
  t.before.after = t.after;
  t.after.before = t.before;
  t.before = t;
  t.after = t;
}
