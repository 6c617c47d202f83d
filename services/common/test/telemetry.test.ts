// SPDX-License-Identifier: Apache-2.0
// Spans as an OTLP receiver gets them.
import { trace } from "@opentelemetry/api";
import test from "ava";
import { orderErrors, receiver } from "../../../testbed/otlp.js";
import type { Clock } from "../clock.js";
import { startOtel, type TraceEvents } from "../otel.js";
import { type TraceTarget, traceTarget } from "../otel-settings.js";
import {
  activeIds,
  formatTraceparent,
  inContext,
  parseTraceparent,
  samplerTakes,
  type TraceIds,
  tracingOn,
  writeTrace,
} from "../telemetry.js";
import { TickSpans } from "../tick-spans.js";

const ids = { traceId: "0102030405060708090a0b0c0d0e0f10", spanId: "a1a2a3a4a5a6a7a8" };
const sampled = { traceparent: formatTraceparent(ids, true) };
const unsampled = { traceparent: formatTraceparent(ids, false) };
const who = { service: "test", instance: "one", port: 7 };
const silent: TraceEvents = { failing() {}, again() {} };
const grpcTo = (url: string): TraceTarget => ({ exporter: "otlp", protocol: "grpc", url, where: url });

/** Each look takes 10 us; the day is far from the start of the machine. */
function clock(): Clock {
  let us = 1000;
  return { now: () => us / 1000, unixMs: () => 0, monoUs: () => (us += 10), wallOffsetUs: () => 1_700_000_000_000_000 };
}

test("a traceparent is read as it was written", (t) => {
  t.deepEqual(parseTraceparent(sampled), { ...ids, sampled: true });
  t.deepEqual(parseTraceparent(unsampled), { ...ids, sampled: false });
  t.is(parseTraceparent({ traceparent: "00-nonsense" }), null);
  t.is(parseTraceparent(null), null);
});

const target = (endpoint: string, env: Record<string, string> = {}, protocol: "" | "http/protobuf" = "") =>
  traceTarget({ tracing: { endpoint, protocol, sample_ms: 1000, slow_ms: 20 } }, env);

test("where spans go: the configuration, else OpenTelemetry's variables", (t) => {
  t.is(target(""), null);
  t.deepEqual(target("h:4317"), { exporter: "otlp", protocol: "grpc", url: "http://h:4317", where: "http://h:4317" });
  t.is(target("http://h:4318", {}, "http/protobuf")?.url, "http://h:4318/v1/traces");
  t.is(target("http://h/own/path", {}, "http/protobuf")?.url, "http://h/own/path");
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://e:4318", OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" };
  t.deepEqual(target("", env), { exporter: "otlp", protocol: "http/protobuf", where: "http://e:4318" });
  t.is(target("h:1", { OTEL_SDK_DISABLED: "true" }), null);
  t.is(target("h:1", { OTEL_TRACES_EXPORTER: "none" }), null);
  t.is(target("", { OTEL_TRACES_EXPORTER: "console" })?.exporter, "console");
  t.throws(() => target("", { ...env, OTEL_EXPORTER_OTLP_PROTOCOL: "carrier-pigeon" }), { message: /PROTOCOL: expected grpc/ });
});

test.serial("before tracing is on, nothing is remembered and nothing is sent", (t) => {
  t.false(tracingOn());
  const spans = new TickSpans(clock(), "SERVER", "a.B", "C");
  t.is(spans.begin(), 0);
  t.notThrows(() => spans.done(sampled, 0));
  writeTrace(ids, { name: "tick", startUs: 0, endUs: 1 });
  t.false(samplerTakes(ids));
});

test.serial("a tick, its children and a peer's spans arrive under one trace, right to a microsecond", async (t) => {
  const r = await receiver();
  t.teardown(r.stop);
  const tracing = await startOtel(who, grpcTo(r.endpoint), silent);
  t.true(tracingOn());
  t.true(samplerTakes(ids));
  const peer = new TickSpans(clock(), "SERVER", "marllb.v1.Test", "Sampled");
  peer.done(sampled, peer.begin(), { "marllb.policy": "kalman" });
  peer.done({ traceparent: "00-nonsense" }, peer.begin());
  const later = new TickSpans(clock(), "CONSUMER", "marllb.v1.Test", "Kept");
  later.done(unsampled, later.begin(), {}, "no frame");
  later.kept([{ traceparent: formatTraceparent({ ...ids, traceId: "f".repeat(32) }, false) }]);
  later.kept([unsampled, unsampled]);
  const start = 1_700_000_000_000_900;
  const inner = { name: "call", kind: "CLIENT" as const, startUs: start + 1, endUs: start + 55, spanId: "c1c2c3c4c5c6c7c8" };
  const root = { name: "tick", startUs: start, endUs: start + 123, error: "refused: nan", children: [inner] };
  const good = { traceId: "e".repeat(32), spanId: "e".repeat(16) };
  writeTrace(ids, root, [{ to: good, attributes: {} }]);
  await tracing.stop();

  const all = r.spans();
  t.deepEqual(all.map((s) => s.name).sort(), ["call", "marllb.v1.Test/Kept", "marllb.v1.Test/Sampled", "tick"]);
  t.true(all.every((s) => s.traceId === ids.traceId));
  const find = (name: string) => all.find((s) => s.name === name);
  const tick = find("tick");
  t.deepEqual([tick?.spanId, tick?.parentId, tick?.error], [ids.spanId, "", "refused: nan"]);
  t.deepEqual([tick?.startUs, tick?.endUs], [start, start + 123]);
  t.deepEqual(tick?.links, [good.spanId]);
  const call = find("call");
  t.deepEqual([call?.spanId, call?.parentId, call?.kind], ["c1c2c3c4c5c6c7c8", ids.spanId, 3]);
  t.deepEqual([call?.startUs, call?.endUs], [start + 1, start + 55]);
  const kept = find("marllb.v1.Test/Kept");
  t.deepEqual([kept?.kind, kept?.error, kept?.parentId], [5, "no frame", ids.spanId]);
  t.is((kept?.endUs ?? 0) - (kept?.startUs ?? 0), 10);
  t.is(find("marllb.v1.Test/Sampled")?.attributes["rpc.method"], "Sampled");
  t.is(tick?.resource["service.name"], "marllb-test");
  t.deepEqual(orderErrors(all), []);
  t.deepEqual({ ...tracing.figures }, { exported: 4, failed: 0, dropped: 0 });
});

test.serial("a line of the log within a span has its ids, also after a pause that it is carried over", async (t) => {
  const tracing = await startOtel(who, grpcTo("http://127.0.0.1:9"), silent);
  t.is(activeIds(), null);
  let later: () => TraceIds | null = () => null;
  const span = trace.getTracer("test").startActiveSpan("rpc", (s) => {
    t.is(activeIds()?.spanId, s.spanContext().spanId);
    later = inContext(activeIds);
    return s;
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.is(activeIds(), null);
  t.is(later()?.traceId, span.spanContext().traceId);
  await tracing.stop();
});

test.serial("a receiver that is away is said once, what is lost is counted, and an end takes a second at most", async (t) => {
  const said: string[] = [];
  const events: TraceEvents = { failing: () => said.push("failing"), again: (n) => said.push(`again ${n}`) };
  const tracing = await startOtel(who, grpcTo("http://127.0.0.1:9"), events);
  t.deepEqual({ ...tracing.figures }, { exported: 0, failed: 0, dropped: 0 });
  await t.notThrowsAsync(tracing.stop());
  t.true(said.length <= 1);
});
