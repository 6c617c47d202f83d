// SPDX-License-Identifier: Apache-2.0
// Spans as an OTLP receiver gets them. The receiver is a gRPC server of this test that keeps the bytes: names and ids stand in them
// as they are.
import test from "ava";
import { startOtel } from "../otel.js";
import { childSpan, formatTraceparent, lateSpan, tracingOn, writeTick } from "../telemetry.js";

const ids = { traceId: "0102030405060708090a0b0c0d0e0f10", spanId: "a1a2a3a4a5a6a7a8" };
const sampled = { traceparent: formatTraceparent(ids, true) };
const unsampled = { traceparent: formatTraceparent(ids, false) };

test.serial("before tracing is on, spans cost nothing and nothing is sent", (t) => {
  t.false(tracingOn());
  t.is(childSpan("x", sampled), undefined);
  lateSpan("x", sampled, 0, 1);
  writeTick(ids, { name: "tick", startMs: 0, endMs: 1 }, []);
});

test.serial("a tick, its children and a peer's spans arrive under one trace", async (t) => {
  const bodies: Buffer[] = [];
  const grpc = await import("@grpc/grpc-js");
  const server = new grpc.Server();
  const asIs = (b: Buffer): Buffer => b;
  server.addService(
    {
      Export: {
        path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        requestStream: false,
        responseStream: false,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    {
      Export(call: { request: Buffer }, callback: (e: null, b: Buffer) => void) {
        bodies.push(call.request);
        callback(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (e, p) => (e ? reject(e) : resolve(p)));
  });
  t.teardown(() => server.forceShutdown());

  const stop = startOtel("test", "one", `127.0.0.1:${port}`);
  t.true(tracingOn());
  t.is(childSpan("peer", null), undefined);
  t.is(childSpan("peer", { traceparent: "00-nonsense" }), undefined);
  t.is(childSpan("peer", unsampled), undefined, "an unsampled trace makes no span");
  const peer = childSpan("peer.step", sampled);
  t.is(peer?.spanContext().traceId, ids.traceId);
  peer?.end();
  lateSpan("peer.slow", unsampled, 1000, 1200);
  const now = Date.now();
  writeTick(
    ids,
    { name: "tick", startMs: now - 5, endMs: now },
    [{ name: "publish", startMs: now - 2, endMs: now - 1 }],
    "refused: nan",
  );
  await stop();

  const all = Buffer.concat(bodies);
  for (const name of ["marllb-test", "peer.step", "peer.slow", "tick", "publish", "refused: nan"])
    t.true(all.includes(name), name);
  const trace = Buffer.from(ids.traceId, "hex");
  let seen = 0;
  for (let at = all.indexOf(trace); at >= 0; at = all.indexOf(trace, at + 1)) seen++;
  t.is(seen, 4, "every span carries the tick's trace id");
  t.true(all.includes(Buffer.from(ids.spanId, "hex")), "the root has the id that peers were told");
});

test.serial("a receiver that is away delays an end by a second at most", async (t) => {
  const stop = startOtel("away", "one", "127.0.0.1:9");
  childSpan("x", sampled)?.end();
  await t.notThrowsAsync(stop());
});
