// SPDX-License-Identifier: Apache-2.0
// One trace a tick, seen in a real Jaeger: run where its binary is found (PATH or JAEGER).
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { stringify } from "yaml";
import { needs } from "../../../testbed/needs.js";
import { Child, freePort, which } from "../../../testbed/process.js";
import { Stack } from "../../../testbed/stack.js";
import { demo, until } from "../faults/bed.js";

const jaeger = process.env.JAEGER ?? which("jaeger");
const jaegerHint = "needs jaeger 2 on PATH or named by JAEGER, from its release page";

interface Trace {
  spans: { operationName: string; processID: string; startTime: number; duration: number }[];
  processes: Record<string, { serviceName: string }>;
}

function config(ports: { otlp: number; query: number; grpc: number }): unknown {
  return {
    service: {
      extensions: ["jaeger_storage", "jaeger_query"],
      pipelines: { traces: { receivers: ["otlp"], processors: [], exporters: ["jaeger_storage_exporter"] } },
      telemetry: { metrics: { level: "none" } },
    },
    extensions: {
      jaeger_storage: { backends: { memory: { memory: { max_traces: 10000 } } } },
      jaeger_query: {
        storage: { traces: "memory" },
        http: { endpoint: `127.0.0.1:${ports.query}` },
        grpc: { endpoint: `127.0.0.1:${ports.grpc}` },
      },
    },
    receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${ports.otlp}` } } } },
    exporters: { jaeger_storage_exporter: { trace_storage: "memory" } },
  };
}

needs(jaeger, jaegerHint)("a tick is one trace through the services, in Jaeger", async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-jaeger-"));
  const ports = { otlp: await freePort(), query: await freePort(), grpc: await freePort() };
  writeFileSync(path.join(folder, "jaeger.yaml"), stringify(config(ports)));
  const server = new Child([jaeger as string, "--config", path.join(folder, "jaeger.yaml")]);
  const servers = [await demo(1), await demo(2)];
  let stack: Stack | undefined;
  try {
    const query = `http://127.0.0.1:${ports.query}/api`;
    await until("Jaeger answers", 30_000, async () => (await fetch(`${query}/services`)).ok);
    stack = await Stack.whole({
      servers: servers.map((s) => ({ address: s.address })),
      config: { tracing: { endpoint: `http://127.0.0.1:${ports.otlp}`, sample_ms: 0 } },
    });
    let whole: Trace | undefined;
    await until("a trace with spans of agent and inference", 30_000, async () => {
      const r = (await (await fetch(`${query}/traces?service=marllb-shm-agent&limit=50`)).json()) as { data: Trace[] };
      whole = r.data.find((x) => new Set(Object.values(x.processes).map((p) => p.serviceName)).has("marllb-inference"));
      return whole !== undefined;
    });
    const names = (whole as Trace).spans.map(
      (s) => `${whole?.processes[s.processID]?.serviceName}: ${s.operationName} ${s.duration} us`,
    );
    t.log(names.join("\n"));
    t.true(names.length >= 3, names.join(", "));
  } finally {
    await stack?.stop();
    await server.stop();
    await Promise.all(servers.map((s) => s.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
});
