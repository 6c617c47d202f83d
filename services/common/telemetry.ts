// SPDX-License-Identifier: Apache-2.0
// Traces as services use them; otel.ts alone knows the SDK. Where tracing is off these calls cost a comparison.
// One trace is one tick: the agent makes its ids beforehand, sends them in the messages, and writes its own spans at the tick's end,
// when it knows whether the tick is worth keeping. Peers write theirs at once where the trace is sampled; of the others they remember
// the last ones, and write them when the agent says that a tick was worth keeping after all (tick-spans.ts).
import {
  type Context,
  context,
  type HrTime,
  type Link,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";

export interface TraceIds {
  traceId: string;
  spanId: string;
}

export interface TraceMessage {
  traceparent?: string;
}

export type Attributes = Record<string, string | number | boolean>;

/** A span that is over. Times are whole microseconds since 1970, all of a host's by one clock (clock.ts). */
export interface SpanRecord {
  name: string;
  kind?: keyof typeof SpanKind;
  startUs: number;
  endUs: number;
  attributes?: Attributes;
  /** Why it failed. */
  error?: string;
  /** Given where somebody was told of it before it was written. */
  spanId?: string;
  children?: readonly SpanRecord[];
}

/** What the SDK must offer (otel.ts). */
export interface Sdk {
  /** The ids of the next span that is started. Without a trace's: a child. */
  preset(ids: Partial<TraceIds>): void;
  /** A sampler of the user's has a say (OTEL_TRACES_SAMPLER). */
  asksSampler: boolean;
  /** Microseconds since 1970, by the clock of all spans of a host. */
  wallUs(): number;
}

const PATTERN = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const tracer = () => trace.getTracer("marllb");

let sdk: Sdk | null = null;

/** Called by otel.ts when the SDK runs. */
export function enableTracing(running: Sdk): void {
  sdk = running;
}

export function tracingOn(): boolean {
  return sdk !== null;
}

/** Whether the user's sampler takes a trace. It decides by the trace's id, so the answer stays the same. */
export function samplerTakes(ids: TraceIds): boolean {
  if (sdk === null) return false;
  if (!sdk.asksSampler) return true;
  sdk.preset(ids);
  return tracer().startSpan("tick", { root: true }, ROOT_CONTEXT).isRecording();
}

export function formatTraceparent(ids: TraceIds, sampled: boolean): string {
  return `00-${ids.traceId}-${ids.spanId}-${sampled ? "01" : "00"}`;
}

export interface Traceparent extends TraceIds {
  sampled: boolean;
}

/** null: not one. */
export function parseTraceparent(message: TraceMessage | null | undefined): Traceparent | null {
  const m = PATTERN.exec(message?.traceparent ?? "");
  if (!m) return null;
  const [, traceId, spanId, flags] = m as unknown as [string, string, string, string];
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & TraceFlags.SAMPLED) !== 0 };
}

/** The ids of the span in whose context the caller runs (a unary RPC's handler), for a log line; null without one. */
export function activeIds(): TraceIds | null {
  return sdk === null ? null : (trace.getActiveSpan()?.spanContext() ?? null);
}

/** The same function, in the context that its maker runs in: for what goes on after a pause. */
export const inContext = <T>(fn: () => T): (() => T) => (sdk === null ? fn : context.bind(context.active(), fn));

const hrTime = (us: number): HrTime => [Math.floor(us / 1e6), Math.round((us % 1e6) * 1000)];

/** The context of a span in another process. */
function contextOf({ traceId, spanId }: TraceIds, sampled: boolean): Context {
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

/** Writes a finished span and its children under a span of another process. */
export function writeChild(parent: TraceIds, record: SpanRecord): void {
  if (sdk !== null) write(record, contextOf(parent, true), {});
}

/** A span that has begun. */
export interface RunningSpan {
  traceparent: string;
  /** Runs a function in its context: log lines and calls made at once belong to it. */
  within<T>(fn: () => T): T;
  /** `error`: why what it is about failed. Once. */
  end(attributes: Attributes, error?: string): void;
}

/** Begins a span now, under one of another process or, without, under that of its caller. null: traces are off. */
export function beginSpan(
  name: string,
  kind: keyof typeof SpanKind,
  attributes: Attributes,
  parent: Traceparent | null = null,
): RunningSpan | null {
  if (sdk === null) return null;
  const { wallUs } = sdk;
  const under = parent ? contextOf(parent, parent.sampled) : context.active();
  const span = tracer().startSpan(name, { kind: SpanKind[kind], attributes, startTime: hrTime(wallUs()) }, under);
  const own = trace.setSpan(under, span);
  const ids = span.spanContext();
  return {
    traceparent: formatTraceparent(ids, (ids.traceFlags & TraceFlags.SAMPLED) !== 0),
    within: (fn) => context.with(own, fn),
    end(more, error) {
      span.setAttributes(more);
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
      span.end(hrTime(wallUs()));
    },
  };
}

/** Writes a finished trace, whose root has the ids given beforehand. `links`: other traces' roots, and why. */
export function writeTrace(
  ids: TraceIds,
  root: SpanRecord,
  links: readonly { to: TraceIds; attributes: Attributes }[] = [],
): void {
  if (sdk === null) return;
  const linked: Link[] = links.map(({ to, attributes }) => ({ context: { ...to, traceFlags: TraceFlags.SAMPLED }, attributes }));
  sdk.preset(ids);
  write({ ...root, spanId: ids.spanId }, ROOT_CONTEXT, { root: true, links: linked });
}

function write(record: SpanRecord, under: Context, more: { root?: boolean; links?: Link[] }): void {
  if (record.spanId !== undefined && !more.root) sdk?.preset({ spanId: record.spanId });
  const { name, attributes = {} } = record;
  const kind = SpanKind[record.kind ?? "INTERNAL"];
  const span = tracer().startSpan(name, { kind, startTime: hrTime(record.startUs), attributes, ...more }, under);
  const own = trace.setSpan(under, span);
  for (const child of record.children ?? []) write(child, own, {});
  if (record.error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: record.error });
  span.end(hrTime(record.endUs));
}
