// SPDX-License-Identifier: Apache-2.0
// The spans of a service that answers, or takes note of, the frames of ticks. Whether a tick is worth a trace shows at its end, when
// this service has long done its part: what it did for the last frames is remembered until then.
import type { Clock } from "./clock.js";
import { type Attributes, parseTraceparent, type SpanRecord, type TraceMessage, tracingOn, writeChild } from "./telemetry.js";

/** Frames remembered: those of two seconds of 64 VIPs at the least tick would be more, and a late word of a tick is worth no more. */
const REMEMBERED = 1024;

/** The attributes of OpenTelemetry's conventions for RPCs. */
export const rpcAttributes = (service: string, method: string): Attributes => ({
  "rpc.system": "grpc",
  "rpc.service": service,
  "rpc.method": method,
});

export class TickSpans {
  readonly #clock: Clock;
  readonly #template: Pick<SpanRecord, "name" | "kind"> & { attributes: Attributes };
  /** By trace id, oldest first. */
  readonly #remembered = new Map<string, SpanRecord>();

  /**
   * SERVER: the agent waits for the answer, and its span holds this one. CONSUMER: nobody waits; a frame is told of after its tick's
   * weights are in effect, and the span lies after the tick's end.
   */
  constructor(clock: Clock, kind: "SERVER" | "CONSUMER", service: string, method: string) {
    this.#clock = clock;
    this.#template = { name: `${service}/${method}`, kind, attributes: rpcAttributes(service, method) };
  }

  /** A frame came; what is returned is handed to `done`. */
  begin(): number {
    return tracingOn() ? this.#clock.monoUs() : 0;
  }

  /** What was to be done for it is done. Call it before an answer is sent, so that this span lies within the agent's. */
  done(trace: TraceMessage | null | undefined, begunUs: number, attributes: Attributes = {}, error?: string): void {
    if (begunUs === 0 || !tracingOn()) return;
    const parent = parseTraceparent(trace);
    if (parent === null) return;
    const offset = this.#clock.wallOffsetUs();
    const record: SpanRecord = {
      ...this.#template,
      startUs: begunUs + offset,
      endUs: this.#clock.monoUs() + offset,
      attributes: { ...this.#template.attributes, ...attributes },
      ...(error === undefined ? {} : { error }),
    };
    if (parent.sampled) writeChild(parent, record);
    else this.#remember(parent.traceId, record);
  }

  /** The agent says which ticks were worth a trace after all. */
  kept(traces: readonly TraceMessage[]): void {
    for (const message of traces) {
      const parent = parseTraceparent(message);
      const record = parent && this.#remembered.get(parent.traceId);
      if (!record) continue;
      this.#remembered.delete(parent.traceId);
      writeChild(parent, record);
    }
  }

  #remember(traceId: string, record: SpanRecord): void {
    if (this.#remembered.size >= REMEMBERED) this.#remembered.delete(this.#remembered.keys().next().value as string);
    this.#remembered.set(traceId, record);
  }
}
