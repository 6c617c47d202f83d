// SPDX-License-Identifier: Apache-2.0
// A tick as a trace: its spans, and which ticks are worth one: one of each sample period, and every one that failed or was slow.
import { randomBytes } from "node:crypto";
import type { Clock } from "../common/clock.js";
import { parseHostPort } from "../common/config/address.js";
import {
  type Attributes,
  formatTraceparent,
  type SpanRecord,
  samplerTakes,
  type TraceIds,
  type TraceMessage,
  tracingOn,
  writeTrace,
} from "../common/telemetry.js";
import { rpcAttributes } from "../common/tick-spans.js";
import type { RawFrame } from "./region.js";

/** gRPC's own numbers of what became of a call. */
export const OK = 0;
export const DEADLINE_EXCEEDED = 4;
export const UNAVAILABLE = 14;

export interface Answer {
  policy: string;
  inferenceUs: number;
}

export interface Published {
  seq: number;
  ladder: string;
  source: string;
}

/** What is written of a tick, where traces are on. Times are microseconds of CLOCK_MONOTONIC, the data plane's clock and ours. */
export interface TickTrace {
  ids: TraceIds;
  /** The span of the call to inference. */
  call: string;
  sampled: boolean;
  /** Wall clock less monotonic clock, when the tick began: one for all its spans. */
  offsetUs: number;
  readUs: number;
  answered: (Answer & { atUs: number }) | null;
  publishedUs: number;
  /** The replica of inference that was asked. */
  server: string;
}

/** A tick from frame to effect, for the trace and the metrics. */
export interface Tick {
  vip: string;
  frame: RawFrame;
  published: Published | null;
  trace: TickTrace | null;
}

export interface TickEnd {
  /** CLOCK_MONOTONIC. */
  atUs: number;
  /** In effect; null: it failed. */
  effect: { ms: number; swapMs: number; slow: boolean } | null;
  why?: string;
  /** Of the call to inference; the envelope may refuse an answer that came well. */
  code?: number;
}

const CALL = { service: "marllb.v1.Inference", method: "Steer" };

export const startUs = (frame: Pick<RawFrame, "monoNs">): number => Number(frame.monoNs / 1000n);

/** The tick's spans: each begins where the one before ended, and none leaves the tick. */
export function tickSpans(tick: Tick, trace: TickTrace, end: TickEnd): SpanRecord {
  const { vip, frame, published } = tick;
  const wall = (us: number): number => us + trace.offsetUs;
  const from = startUs(frame);
  const read = Math.max(from, trace.readUs);
  const answered = trace.answered ? Math.max(read, trace.answered.atUs) : null;
  // We may come to read the clock only when the data plane has long swapped: what it swapped was published before.
  const written = Math.min(
    trace.publishedUs,
    end.effect ? from + Math.floor(end.effect.swapMs * 1000) : Number.POSITIVE_INFINITY,
  );
  const composed = published ? Math.max(answered ?? read, written) : null;
  const to = Math.max(end.atUs, composed ?? answered ?? read);
  const span = (name: string, a: number, b: number, more: Partial<SpanRecord> = {}): SpanRecord => ({
    name,
    startUs: wall(a),
    endUs: wall(b),
    ...more,
  });
  const children = [
    span("shm-agent.read", from, read),
    span(`${CALL.service}/${CALL.method}`, read, answered ?? to, call(trace, end)),
  ];
  if (answered !== null && (published || end.effect === null))
    children.push(
      span("shm-agent.publish", answered, composed ?? to, {
        ...(published && { attributes: { "marllb.ladder": published.ladder, "marllb.source": published.source } }),
        ...(published || end.why === undefined ? {} : { error: end.why }),
      }),
    );
  if (composed !== null)
    children.push(
      span("dataplane.effect", composed, to, {
        ...(end.effect && { attributes: { "marllb.swap_ms": end.effect.swapMs } }),
        ...(end.effect ? {} : { error: end.why ?? "not in effect" }),
      }),
    );
  return span("tick", from, to, {
    attributes: {
      "marllb.vip": vip,
      "marllb.frame_seq": frame.seq,
      "marllb.slow": end.effect?.slow ?? false,
      ...(end.effect && { "marllb.effect_ms": end.effect.ms }),
    },
    ...(end.why === undefined ? {} : { error: end.why }),
    children,
  });
}

function call(trace: TickTrace, end: TickEnd): Partial<SpanRecord> {
  const { answered, server } = trace;
  const code = answered ? OK : (end.code ?? DEADLINE_EXCEEDED);
  const place = parseHostPort(server);
  const attributes: Attributes = {
    ...rpcAttributes(CALL.service, CALL.method),
    "rpc.grpc.status_code": code,
    ...(place && { "server.address": place.host, "server.port": place.port }),
    ...(answered && { "marllb.policy": answered.policy, "marllb.inference_us": answered.inferenceUs }),
  };
  return { kind: "CLIENT", spanId: trace.call, attributes, ...(code === OK || end.why === undefined ? {} : { error: end.why }) };
}

/** A tick that turned out worth a trace when its peers had done with it: they are told in the next frames, which may be lost. */
interface Kept {
  trace: TickTrace;
  left: { steer: number; share: number };
}
const TOLD = 5;
const KEPT = 16;

/** Whom a frame goes to: inference, whose span lies in the call's, or health and failover. */
export type To = "steer" | "share";

const message = (trace: TickTrace, to: To): TraceMessage => ({
  traceparent: formatTraceparent(to === "steer" ? { ...trace.ids, spanId: trace.call } : trace.ids, trace.sampled),
});

export class TickLog {
  /** One tick of so many milliseconds; 0 = every one. */
  sampleMs: number;
  /** Frame to effect; above it a tick is slow. */
  slowMs: number;
  readonly #clock: Clock;
  #lastSample = Number.NEGATIVE_INFINITY;
  /** By VIP's key. */
  readonly #good = new Map<string, { ids: TraceIds; seq: number }>();
  readonly #kept = new Map<string, Kept[]>();

  constructor(tracing: { sample_ms: number; slow_ms: number }, clock: Clock) {
    this.sampleMs = tracing.sample_ms;
    this.slowMs = tracing.slow_ms;
    this.#clock = clock;
  }

  /** null: no traces. */
  begin(server: string): TickTrace | null {
    if (!tracingOn()) return null;
    const ids = { traceId: randomBytes(16).toString("hex"), spanId: randomBytes(8).toString("hex") };
    return {
      ids,
      call: randomBytes(8).toString("hex"),
      sampled: this.#sample() && samplerTakes(ids),
      offsetUs: this.#clock.wallOffsetUs(),
      readUs: this.#clock.monoUs(),
      answered: null,
      publishedUs: 0,
      server,
    };
  }

  messageTo(trace: TickTrace | null, to: To): TraceMessage | null {
    return trace && message(trace, to);
  }

  /** The VIP's ticks whose spans are wanted after all; each is said with several frames. */
  keptFor(key: string, to: To): TraceMessage[] {
    const list = this.#kept.get(key);
    if (!list) return [];
    const told = list.filter((k) => k.left[to] > 0);
    for (const k of told) k.left[to]--;
    const rest = list.filter((k) => k.left.steer + k.left.share > 0);
    if (rest.length > 0) this.#kept.set(key, rest);
    else this.#kept.delete(key);
    return told.map((k) => message(k.trace, to));
  }

  /** A tick took its course. The ids of its trace where that was written. */
  end(key: string, tick: Tick, end: TickEnd): TraceIds | null {
    const { trace } = tick;
    if (trace === null) return null;
    const bad = end.effect === null || end.effect.slow;
    if (!trace.sampled && !(bad && samplerTakes(trace.ids))) return null;
    const good = this.#good.get(key);
    const links =
      bad && good ? [{ to: good.ids, attributes: { "marllb.link": "last good tick", "marllb.frame_seq": good.seq } }] : [];
    writeTrace(trace.ids, tickSpans(tick, trace, end), links);
    if (!bad) this.#good.set(key, { ids: trace.ids, seq: tick.frame.seq });
    else if (!trace.sampled) this.#keep(key, trace);
    return trace.ids;
  }

  forget(key: string): void {
    this.#good.delete(key);
    this.#kept.delete(key);
  }

  #keep(key: string, trace: TickTrace): void {
    const list = this.#kept.get(key) ?? [];
    this.#kept.set(key, [...list.slice(-KEPT + 1), { trace, left: { steer: TOLD, share: TOLD } }]);
  }

  #sample(): boolean {
    const now = this.#clock.now();
    if (now - this.#lastSample < this.sampleMs) return false;
    this.#lastSample = now;
    return true;
  }
}
