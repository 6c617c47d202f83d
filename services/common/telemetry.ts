// SPDX-License-Identifier: Apache-2.0
// Traces as services use them; otel.ts alone knows the SDK. Where tracing is off these calls cost a comparison.
// One trace is one tick: the agent makes its ids beforehand, sends them in the messages, and writes its own spans at the tick's end,
// when it knows whether the tick is worth keeping. Peers write theirs as they go where the trace is sampled.
import { type Context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, TraceFlags, trace } from "@opentelemetry/api";

export type { Span } from "@opentelemetry/api";

export interface TraceIds {
  traceId: string;
  spanId: string;
}

export interface TraceMessage {
  traceparent?: string;
}

const PATTERN = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const tracer = () => trace.getTracer("marllb");

let presetIds: ((ids: TraceIds) => void) | null = null;

/** Called by otel.ts when the SDK runs. */
export function enableTracing(preset: (ids: TraceIds) => void): void {
  presetIds = preset;
}

export function tracingOn(): boolean {
  return presetIds !== null;
}

export function formatTraceparent(ids: TraceIds, sampled: boolean): string {
  return `00-${ids.traceId}-${ids.spanId}-${sampled ? "01" : "00"}`;
}

function parentContext(traceparent: string, needSampled: boolean): Context | null {
  const m = PATTERN.exec(traceparent);
  if (!m || (needSampled && (Number.parseInt(m[3] as string, 16) & TraceFlags.SAMPLED) === 0)) return null;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: m[1] as string,
    spanId: m[2] as string,
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  });
}

/** A span under a message's trace, or undefined where the trace is not sampled. The caller ends it. */
export function childSpan(name: string, message: TraceMessage | null | undefined): Span | undefined {
  if (presetIds === null || !message?.traceparent) return undefined;
  const context = parentContext(message.traceparent, true);
  return context ? tracer().startSpan(name, { kind: SpanKind.SERVER }, context) : undefined;
}

/** A span that is already over, under a trace of any tick: for a step that turned out slow. Times are Unix milliseconds. */
export function lateSpan(name: string, message: TraceMessage | null | undefined, startMs: number, endMs: number): void {
  if (presetIds === null || !message?.traceparent) return;
  const context = parentContext(message.traceparent, false);
  if (context) tracer().startSpan(name, { kind: SpanKind.SERVER, startTime: startMs }, context).end(endMs);
}

export interface TickSpan {
  name: string;
  startMs: number;
  endMs: number;
  attributes?: Record<string, string | number | boolean>;
}

/** Writes a finished tick: its root span with the ids given beforehand, and the children. */
export function writeTick(ids: TraceIds, root: TickSpan, children: readonly TickSpan[], failure?: string): void {
  if (presetIds === null) return;
  presetIds(ids);
  const span = tracer().startSpan(
    root.name,
    { root: true, startTime: root.startMs, attributes: root.attributes ?? {} },
    ROOT_CONTEXT,
  );
  const context = trace.setSpan(ROOT_CONTEXT, span);
  for (const c of children) {
    tracer()
      .startSpan(c.name, { startTime: c.startMs, attributes: c.attributes ?? {} }, context)
      .end(c.endMs);
  }
  if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
  span.end(root.endMs);
}
