// SPDX-License-Identifier: Apache-2.0
// One trace is one tick, through all four services: at an OTLP receiver of this test, and at a real Jaeger where its binary is found.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import test, { type ExecutionContext } from "ava";
import { needs } from "../../../testbed/needs.js";
import { Origins } from "../../../testbed/origins.js";
import { freePort } from "../../../testbed/process.js";
import { scratch } from "../../../testbed/service.js";
import { Stack, type StackOptions } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";
import { spansOf } from "./otlp.js";

const SERVICES = ["marllb-shm-agent", "marllb-inference", "marllb-health", "marllb-failover"];

/** The loop with two servers; stopped when the test is over. */
async function loop(t: ExecutionContext, options: Partial<StackOptions>): Promise<Stack> {
  const origins = await Origins.start(2);
  t.teardown(() => origins.stop());
  const s = await Stack.whole({ servers: origins.addresses.map((address) => ({ address })), ...options });
  t.teardown(() => s.stop());
  return s;
}

async function receiver(): Promise<{ endpoint: string; bodies: Buffer[]; stop(): void }> {
  const bodies: Buffer[] = [];
  const asIs = (b: Buffer): Buffer => b;
  const server = new grpc.Server();
  const path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
  const codec = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs };
  server.addService(
    { Export: { path, requestStream: false, responseStream: false, ...codec } },
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
  return { endpoint: `http://127.0.0.1:${port}`, bodies, stop: () => server.forceShutdown() };
}

test.serial("a sampled tick is one trace with spans of all four services", async (t) => {
  const r = await receiver();
  t.teardown(r.stop);
  await loop(t, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: r.endpoint } });
  // The first ticks may fail while streams open; one that took effect has all of them.
  const spans = await eventually("a whole trace", async () => {
    const all = r.bodies.flatMap(spansOf);
    return [...group(all).values()].find(
      (list) => SERVICES.every((name) => list.some((x) => x.service === name)) && list.some((x) => x.name === "dataplane.effect"),
    );
  });
  const root = spans.find((x) => x.name === "tick");
  t.is(root?.parentId, "");
  t.is(root?.service, "marllb-shm-agent");
  for (const x of spans) if (x !== root) t.is(x.parentId, root?.spanId ?? "no root", x.name);
  const names = new Set(spans.map((x) => x.name));
  for (const name of [
    "shm-agent.read",
    "inference",
    "shm-agent.publish",
    "dataplane.effect",
    "inference.steer",
    "health.frame",
    "failover.supervise",
  ]) {
    t.true(names.has(name), `${name} in ${[...names].join(", ")}`);
  }
});

test.serial("a tick without an answer is a trace of its own, marked as failed", async (t) => {
  const r = await receiver();
  t.teardown(r.stop);
  // Sampled once an hour: what arrives later is there because it failed.
  const s = await loop(t, { config: { tracing: { endpoint: r.endpoint, sample_ms: 3_600_000 } } });
  await s.kill("inference");
  await eventually("a failed tick", async () => r.bodies.flatMap(spansOf).some((x) => x.name === "tick" && x.error !== ""));
  t.pass();
});

function group<T extends { traceId: string }>(all: T[]): Map<string, T[]> {
  const out = new Map<string, T[]>();
  for (const x of all) out.set(x.traceId, [...(out.get(x.traceId) ?? []), x]);
  return out;
}

const jaeger = [...(process.env.PATH ?? "").split(delimiter), join(homedir(), "go/bin")]
  .map((d) => join(d, "jaeger"))
  .find((f) => existsSync(f));

const jaegerConfig = (otlp: number, query: number, queryGrpc: number): string => `
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines: { traces: { receivers: [otlp], exporters: [jaeger_storage_exporter] } }
  telemetry: { metrics: { level: none } }
extensions:
  jaeger_storage: { backends: { mem: { memory: { max_traces: 10000 } } } }
  jaeger_query:
    storage: { traces: mem }
    http: { endpoint: "127.0.0.1:${query}" }
    grpc: { endpoint: "127.0.0.1:${queryGrpc}" }
receivers: { otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${otlp}" } } } }
exporters: { jaeger_storage_exporter: { trace_storage: mem } }
`;

needs(jaeger, "needs jaeger 2 on PATH, from its release page")(
  "a real Jaeger shows the tick under the four services",
  async (t) => {
    const [otlp, query, queryGrpc] = [await freePort(), await freePort(), await freePort()];
    const files = scratch();
    t.teardown(files.remove);
    const child = spawn(jaeger as string, ["--config", files.config(jaegerConfig(otlp, query, queryGrpc))], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (b: Buffer) => {
      stderr += b;
    });
    t.teardown(() => child.kill("SIGKILL"));
    const api = `http://127.0.0.1:${query}/api`;
    try {
      await eventually(
        "Jaeger answers",
        async () => child.exitCode !== null || (await fetch(`${api}/services`).catch(() => null))?.ok,
      );
    } finally {
      if (child.exitCode !== null) t.log(stderr.slice(-2000));
    }
    t.is(child.exitCode, null, "Jaeger runs");
    await loop(t, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${otlp}` } });
    type Traces = { data: { processes: Record<string, { serviceName: string }>; spans: { operationName: string }[] }[] };
    const trace = await eventually("a trace with all services", async () => {
      const r = (await (await fetch(`${api}/traces?service=marllb-shm-agent&operation=tick&limit=20`)).json()) as Traces;
      return (r.data ?? []).find((d) => new Set(Object.values(d.processes).map((p) => p.serviceName)).size === 4);
    });
    t.deepEqual(
      Object.values(trace.processes)
        .map((p) => p.serviceName)
        .sort(),
      [...SERVICES].sort(),
    );
  },
);
