// SPDX-License-Identifier: Apache-2.0
// Ticks from frame to effect: when a vector took effect, how long the way was, and the trace of it.
import { randomBytes } from "node:crypto";
import { formatTraceparent, type TraceMessage, tracingOn } from "../common/telemetry.js";
import type { Effect, RegionPort } from "./region.js";
import type { Tick, TickLog } from "./ticks.js";
import type { Vip } from "./vip.js";

export class Effects {
  readonly #log: TickLog;
  readonly #onEffect: (vip: Vip, ms: number) => void;
  /** At most one a VIP: the newest frame's that wants weights. */
  readonly #ticks = new WeakMap<Vip, Tick>();

  constructor(log: TickLog, onEffect: (vip: Vip, ms: number) => void) {
    this.#log = log;
    this.#onEffect = onEffect;
  }

  /** A tick begins with the VIP's newest frame. What goes with its message: the trace, where there is one. */
  begin(vip: Vip, nowMs: number): TraceMessage | null {
    const on = tracingOn();
    const { frame } = vip;
    const tick: Tick = {
      ids: on ? { traceId: randomBytes(16).toString("hex"), spanId: randomBytes(8).toString("hex") } : null,
      sampled: on && this.#log.sample(),
      frame,
      startMs: Number(frame.realNs / 1000n) / 1000,
      spans: [],
      publishedSeq: null,
    };
    this.#ticks.set(vip, tick);
    this.#log.span(tick, "shm-agent.read", nowMs);
    return tick.ids ? { traceparent: formatTraceparent(tick.ids, tick.sampled) } : null;
  }

  /** A step of the tick's way ends now. */
  step(vip: Vip, name: string, nowMs: number, attributes: Record<string, string | number>): void {
    const tick = this.#ticks.get(vip);
    if (tick) this.#log.span(tick, name, nowMs, attributes);
  }

  /** The answer was published as vector `seq`. */
  published(vip: Vip, seq: number): void {
    const tick = this.#ticks.get(vip);
    if (tick) tick.publishedSeq = seq;
  }

  fail(vip: Vip, why: string): void {
    const tick = this.#ticks.get(vip);
    if (tick) this.#log.fail(tick, why);
    this.#ticks.delete(vip);
  }

  /** What the data plane says took effect. */
  took(vip: Vip, e: Effect, region: RegionPort): void {
    vip.took(e);
    const tick = this.#ticks.get(vip);
    if (!tick || tick.publishedSeq === null || e.agentEpoch !== region.agentEpoch) return;
    if (e.seq < tick.publishedSeq || e.allNs === 0n) return;
    const ms = Number(e.allNs - tick.frame.monoNs) / 1e6;
    vip.inEffect(ms);
    this.#onEffect(vip, ms);
    this.#log.done(tick, vip.name, ms, Number(e.swapNs - tick.frame.monoNs) / 1e6);
    this.#ticks.delete(vip);
  }
}
