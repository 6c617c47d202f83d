// SPDX-License-Identifier: Apache-2.0
// Ticks from frame to effect: when a vector took effect, how long the way was, and the trace of it.
import type { Clock } from "../common/clock.js";
import type { TraceIds, TraceMessage } from "../common/telemetry.js";
import type { Effect, RegionPort } from "./region.js";
import { type Answer, type Published, startUs, type Tick, type TickLog, type To } from "./ticks.js";
import type { Vip } from "./vip.js";

/** What a frame carries of its tick's trace; null where there is none. */
export interface FrameTraces {
  steer: TraceMessage | null;
  share: TraceMessage | null;
}

export interface Took {
  ms: number;
  /** Of a trace that was written. */
  trace: TraceIds | null;
}

export class Effects {
  readonly #log: TickLog;
  readonly #clock: Clock;
  readonly #onEffect: (vip: Vip, took: Took) => void;
  /** At most one a VIP: the newest frame's that wants weights. */
  readonly #ticks = new WeakMap<Vip, Tick>();

  constructor(log: TickLog, clock: Clock, onEffect: (vip: Vip, took: Took) => void) {
    this.#log = log;
    this.#clock = clock;
    this.#onEffect = onEffect;
  }

  /** A tick begins with the VIP's newest frame; `server`: the replica of inference that is asked. */
  begin(vip: Vip, server: string): FrameTraces {
    if (this.#ticks.has(vip)) this.fail(vip, "not in effect within a tick");
    const trace = this.#log.begin(server);
    this.#ticks.set(vip, { vip: vip.name, frame: vip.frame, published: null, trace });
    return { steer: this.#log.messageTo(trace, "steer"), share: this.#log.messageTo(trace, "share") };
  }

  /** Earlier ticks of the VIP whose spans are wanted after all. */
  kept(vip: Vip, to: To): TraceMessage[] {
    return this.#log.keptFor(vip.key, to);
  }

  /** The answer to a frame came from a replica. One to an older frame is none to this tick. */
  answered(vip: Vip, frameSeq: number, answer: Answer, server: string): void {
    const trace = this.#of(vip, frameSeq)?.trace;
    if (!trace) return;
    trace.answered = { ...answer, atUs: this.#clock.monoUs() };
    trace.server = server;
  }

  /** The answer to a frame was published. */
  published(vip: Vip, frameSeq: number, published: Published): void {
    const tick = this.#of(vip, frameSeq);
    if (!tick) return;
    tick.published = published;
    if (tick.trace) tick.trace.publishedUs = this.#clock.monoUs();
  }

  /** The tick came to nothing. `code`: gRPC's, of the call; `server`: the replica that was asked. */
  fail(vip: Vip, why: string, code?: number, server = ""): void {
    const tick = this.#ticks.get(vip);
    this.#ticks.delete(vip);
    if (!tick) return;
    if (tick.trace && server !== "") tick.trace.server = server;
    this.#log.end(vip.key, tick, {
      atUs: this.#clock.monoUs(),
      effect: null,
      why,
      ...(code === undefined ? {} : { code }),
    });
  }

  /** What the data plane says took effect. */
  took(vip: Vip, e: Effect, region: RegionPort): void {
    vip.took(e);
    const tick = this.#ticks.get(vip);
    if (!tick?.published || e.agentEpoch !== region.agentEpoch) return;
    if (e.seq < tick.published.seq || e.allNs === 0n) return;
    const { frame } = tick;
    const ms = Number(e.allNs - frame.monoNs) / 1e6;
    vip.inEffect(ms);
    this.#ticks.delete(vip);
    const slow = ms > this.#log.slowMs;
    const swapMs = Number(e.swapNs - frame.monoNs) / 1e6;
    const end = { atUs: startUs(frame) + Math.round(ms * 1000), effect: { ms, swapMs, slow } };
    this.#onEffect(vip, { ms, trace: this.#log.end(vip.key, tick, end) });
  }

  gone(vip: Vip): void {
    this.#ticks.delete(vip);
    this.#log.forget(vip.key);
  }

  #of(vip: Vip, frameSeq: number): Tick | undefined {
    const tick = this.#ticks.get(vip);
    return tick?.frame.seq === frameSeq ? tick : undefined;
  }
}
