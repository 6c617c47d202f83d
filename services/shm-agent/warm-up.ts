// SPDX-License-Identifier: Apache-2.0
// When to send the last frame to inference once more, as a warm-up request. A path that runs five times a second is slow twice over: its
// code stays uncompiled for minutes, and a few milliseconds after each run the caches hold others' data. So after a stream to
// inference opened, warm-up requests follow each other until the code on both sides is compiled (some seconds), and from then on one runs
// shortly before each frame is due. They never run while a frame is on its way.
import type { Timers } from "../common/stream.js";

export interface RehearsalOptions {
  tickMs: number;
  timers: Timers;
  /** So long after the start none is sent: the other processes of the host start too, and these requests would fill a processor. */
  afterMs: number;
  /** False: not sent, for there is no stream or something is on its way. */
  send(): boolean;
}

/** Rehearsals until V8 has compiled the path with its last compiler: p50 of a round trip 3.3 ms after 5, 1.8 after 300, 1.3 after 2000. */
export const PRIMING = 2000;
const PRIMING_GAP_MS = 1;
/** One takes about 1.5 ms, a timer is up to 1 ms late, and 5 ms later half the gain is gone. */
const LEAD_MS = 3;
/** Nearer to the next frame than this a warm-up request would stand in its way. */
const GUARD_MS = 1.5;
/** At shorter ticks the frames themselves keep the path warm, and a warm-up request a tick would cost percents of a core. */
const LEAST_TICK_MS = 50;
/** inference does not answer where it needs no warm-up requests: asked again after so long. */
const RETRY_MS = 10_000;

export class WarmUp {
  sent = 0;
  #left = PRIMING;
  #dueMs = Number.NaN;
  #sentMs: number | null = null;
  #timer: unknown = null;

  readonly #o: RehearsalOptions;
  readonly #fromMs: number;

  constructor(o: RehearsalOptions) {
    this.#o = o;
    this.#fromMs = o.timers.now() + o.afterMs;
  }

  /** A frame that wants weights came: the next one is due a tick later. */
  frame(): void {
    this.#dueMs = this.#o.timers.now() + this.#o.tickMs;
    this.#o.timers.clearTimeout(this.#timer);
  }

  /** The frame's answer was dealt with. */
  answered(): void {
    if (this.#sentMs !== null && this.#o.timers.now() - this.#sentMs < RETRY_MS) return;
    this.#sentMs = null;
    this.#plan();
  }

  /** A warm-up request's answer was dealt with. */
  done(): void {
    this.#sentMs = null;
    if (this.#left > 0) this.#left--;
    this.#plan();
  }

  /** The stream broke: what answers next starts cold. */
  restart(): void {
    this.#left = PRIMING;
    this.#sentMs = null;
  }

  stop(): void {
    this.#o.timers.clearTimeout(this.#timer);
  }

  #plan(): void {
    const { timers, tickMs } = this.#o;
    if (this.#left === 0 && tickMs < LEAST_TICK_MS) return;
    const now = timers.now();
    if (now < this.#fromMs) return;
    const wait = this.#dueMs - LEAD_MS - now;
    timers.clearTimeout(this.#timer);
    if (!(wait > 0)) return;
    this.#timer = timers.setTimeout(() => this.#send(), this.#left > 0 ? Math.min(PRIMING_GAP_MS, wait) : wait);
  }

  #send(): void {
    const now = this.#o.timers.now();
    if (!(this.#dueMs - now > GUARD_MS) || !this.#o.send()) return;
    this.#sentMs = now;
    this.sent++;
  }
}
