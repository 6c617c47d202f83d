// SPDX-License-Identifier: Apache-2.0
// An order's spans on both sides of a call, as an OTLP receiver gets them.
import * as grpc from "@grpc/grpc-js";
import test from "ava";
import { orderErrors, receiver } from "../../../testbed/otlp.js";
import { ask } from "../grpc/ask.js";
import { clientOptions } from "../grpc/channel.js";
import { invalid, unary } from "../grpc/errors.js";
import { v1 } from "../grpc/protos.js";
import { serverSpans } from "../grpc/spans.js";
import { startOtel } from "../otel.js";
import { activeIds, type TraceIds } from "../telemetry.js";

test("an order is two spans of one trace, the handler runs in the server's; a refused one says why; questions have none", async (t) => {
  const r = await receiver();
  t.teardown(r.stop);
  const target = { exporter: "otlp", protocol: "grpc", url: r.endpoint, where: r.endpoint } as const;
  const tracing = await startOtel({ service: "test", instance: "one", port: 7 }, target, { failing() {}, again() {} });
  const seen: (TraceIds | null)[] = [];
  const server = new grpc.Server({ interceptors: [serverSpans] });
  server.addService(v1.Process.service, {
    SetLogLevel: unary((q: { level: string }) => {
      seen.push(activeIds());
      if (q.level === "loud") throw invalid("level", "expected a level, found loud");
      return { level: q.level, previous: "info" };
    }),
  });
  server.addService(v1.Failover.service, { GetPool: unary(() => ({})) });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (e, p) => (e ? reject(e) : resolve(p))),
  );
  t.teardown(() => server.forceShutdown());
  const at = [`127.0.0.1:${port}`, grpc.credentials.createInsecure(), clientOptions] as const;
  const client = new v1.Process(...at);
  const failover = new v1.Failover(...at);
  t.teardown(() => (client.close(), failover.close()));

  await ask(client, "SetLogLevel", { level: "debug" }, 60_000);
  await t.throwsAsync(ask(client, "SetLogLevel", { level: "loud" }, 60_000), { message: /expected a level/ });
  await ask(failover, "GetPool", { name: "web" }, 60_000);
  await tracing.stop();

  const spans = r.spans();
  t.deepEqual([...new Set(spans.map((s) => s.name))], ["marllb.v1.Process/SetLogLevel"]);
  t.deepEqual(orderErrors(spans), []);
  const traces = [...new Set(spans.map((s) => s.traceId))].map((id) => spans.filter((s) => s.traceId === id));
  t.is(traces.length, 2);
  for (const [i, code] of [grpc.status.OK, grpc.status.INVALID_ARGUMENT].entries()) {
    const trace = traces.find((x) => x.every((s) => s.attributes["rpc.grpc.status_code"] === code)) ?? [];
    const [called] = trace.filter((s) => s.kind === 3);
    const [served] = trace.filter((s) => s.kind === 2);
    t.is(called?.parentId, "");
    t.is(served?.parentId, called?.spanId ?? "no client's span");
    t.is(seen[i]?.spanId, served?.spanId);
    for (const s of trace) {
      t.is(s.error, code === grpc.status.OK ? "" : "level: expected a level, found loud");
      t.is(s.attributes["rpc.method"], "SetLogLevel");
    }
  }
});
