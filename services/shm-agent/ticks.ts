// SPDX-License-Identifier: Apache-2.0
// Which ticks become traces: one of each sample period, and every one that failed or was slow.
import type { Clock } from "../common/clock.js";
import { type TickSpan, type TraceIds, writeTick } from "../common/telemetry.js";
import type { RawFrame } from "./region.js";

/** A tick from frame to effect, for the trace and the metrics. */
export interface Tick {
  ids: TraceIds | null;
  sampled: boolean;
  frame: RawFrame;
  /** Unix milliseconds. */
  startMs: number;
  spans: TickSpan[];
  publishedSeq: number | null;
}

/** A tick whose effect took more than this share of it is slow. */
const SLOW_SHARE = 0.5;

export class TickLog {
  failed = 0;
  /** One tick of so many milliseconds; 0 = every one. */
  sampleMs: number;
  readonly #tickMs: number;
  readonly #clock: Clock;
  #lastSample = Number.NEGATIVE_INFINITY;

  constructor(sampleMs: number, tickMs: number, clock: Clock) {
    this.sampleMs = sampleMs;
    this.#tickMs = tickMs;
    this.#clock = clock;
  }

  sample(): boolean {
    const now = this.#clock.now();
    if (now - this.#lastSample < this.sampleMs) return false;
    this.#lastSample = now;
    return true;
  }

  /** A step of the agent's that ends now and began where the last one ended. */
  span(tick: Tick, name: string, nowMs: number, attributes?: Record<string, string | number>): void {
    if (tick.ids === null) return;
    const endMs = this.#clock.unixMs() - (this.#clock.now() - nowMs);
    const startMs = tick.spans.at(-1)?.endMs ?? tick.startMs;
    tick.spans.push({ name, startMs: Math.min(startMs, endMs), endMs, ...(attributes ? { attributes } : {}) });
  }

  done(tick: Tick, vip: string, effectMs: number, swapMs: number): void {
    const slow = effectMs > this.#tickMs * SLOW_SHARE;
    if (tick.ids === null || !(tick.sampled || slow)) return;
    const from = tick.spans.at(-1)?.endMs ?? tick.startMs;
    const endMs = tick.startMs + effectMs;
    tick.spans.push({ name: "dataplane.effect", startMs: Math.min(from, endMs), endMs, attributes: { swap_ms: swapMs } });
    writeTick(
      tick.ids,
      { name: "tick", startMs: tick.startMs, endMs, attributes: { vip, frame_seq: tick.frame.seq, effect_ms: effectMs, slow } },
      tick.spans,
    );
  }

  fail(tick: Tick, why: string): void {
    this.failed++;
    if (tick.ids === null) return;
    const endMs = Math.max(this.#clock.unixMs(), tick.startMs);
    writeTick(
      tick.ids,
      { name: "tick", startMs: tick.startMs, endMs, attributes: { frame_seq: tick.frame.seq } },
      tick.spans,
      why,
    );
  }
}
