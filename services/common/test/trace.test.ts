// SPDX-License-Identifier: Apache-2.0
// One trace is one tick, through all four services: at an OTLP receiver of this test, and at a real Jaeger where its binary is found.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { delimiter, join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { needs } from "../../../testbed/needs.js";
import { Origins } from "../../../testbed/origins.js";
import { CONSUMER, type OtlpSpan, orderErrors, receiver } from "../../../testbed/otlp.js";
import { freePort } from "../../../testbed/process.js";
import { scratch } from "../../../testbed/service.js";
import { Stack, type StackOptions } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";
import { version } from "../version.js";

const SERVICES = ["marllb-shm-agent", "marllb-inference", "marllb-health", "marllb-failover"];

/** The loop with two servers; stopped when the test is over. */
async function loop(t: ExecutionContext, options: Partial<StackOptions>): Promise<Stack> {
  const origins = await Origins.start(2);
  t.teardown(() => origins.stop());
  const s = await Stack.whole({ servers: origins.addresses.map((address) => ({ address })), ...options });
  t.teardown(() => s.stop());
  return s;
}

test.serial("a sampled tick is one trace with spans of all four services, each by one clock within its parent", async (t) => {
  const r = await receiver();
  t.teardown(r.stop);
  const config = { tracing: { sample_ms: 0 } };
  await loop(t, {
    config,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: r.endpoint, OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test" },
  });
  // The first ticks may fail while streams open; one that took effect has all of them.
  const spans = await eventually("ten whole traces", async () => {
    const whole = [...group(r.spans()).values()].filter(
      (list) => SERVICES.every((name) => list.some((x) => x.service === name)) && list.some((x) => x.name === "dataplane.effect"),
    );
    return whole.length >= 10 && whole.flat();
  });
  t.deepEqual(orderErrors(spans), []);
  const first = spans.filter((x) => x.traceId === spans[0]?.traceId);
  const named = (name: string) => first.filter((x) => x.name === name);
  const [root] = named("tick");
  t.is(root?.parentId, "");
  t.is(root?.service, "marllb-shm-agent");
  const [call, answer] = named("marllb.v1.Inference/Steer")
    .sort((a, b) => a.service.localeCompare(b.service))
    .reverse();
  t.deepEqual([call?.service, call?.kind, call?.parentId], ["marllb-shm-agent", 3, root?.spanId]);
  t.deepEqual([answer?.service, answer?.kind, answer?.parentId], ["marllb-inference", 2, call?.spanId]);
  t.deepEqual(
    [
      call?.attributes["rpc.system"],
      call?.attributes["rpc.service"],
      call?.attributes["rpc.method"],
      call?.attributes["rpc.grpc.status_code"],
    ],
    ["grpc", "marllb.v1.Inference", "Steer", 0],
  );
  t.is(call?.attributes["server.address"], "127.0.0.1", "the replica that answered");
  for (const name of [
    "shm-agent.read",
    "shm-agent.publish",
    "dataplane.effect",
    "marllb.v1.Health/Report",
    "marllb.v1.Failover/Supervise",
  ]) {
    t.is(named(name)[0]?.parentId, root?.spanId ?? "no root", name);
  }
  t.is(named("marllb.v1.Health/Report")[0]?.kind, CONSUMER);
  const resource = answer?.resource ?? {};
  t.is(resource["service.version"], version);
  t.is(resource["host.name"], hostname());
  t.is(resource["deployment.environment.name"], "test");
  t.regex(String(resource["service.instance.id"]), /^.+@.+:\d+$/);
  t.not(resource["service.instance.id"], root?.resource["service.instance.id"]);
});

test.serial(
  "a tick without an answer is a trace of its own, with the call that failed and a link to the last good one",
  async (t) => {
    const r = await receiver();
    t.teardown(r.stop);
    const s = await loop(t, { config: { tracing: { endpoint: r.endpoint, sample_ms: 500, slow_ms: 10_000 } } });
    const good = await eventually("a good tick", async () => r.spans().find((x) => x.name === "tick" && x.error === ""));
    await s.kill("inference");
    const unanswered = (x: OtlpSpan): boolean =>
      x.name === "marllb.v1.Inference/Steer" && x.error !== "" && x.startUs > good.startUs;
    const own = await eventually("a call that failed", async () => r.spans().find(unanswered));
    const failed = await eventually("its tick", async () => r.spans().find((x) => x.spanId === own.parentId));
    t.not(failed.error, "");
    t.not(failed.links.length, 0, "it knows a good tick");
    t.true([4, 14].includes(Number(own.attributes["rpc.grpc.status_code"])));
    t.is(own.attributes["server.port"], Number(s.at("inference").split(":")[1]), "the replica that did not answer");
    t.true(r.spans().some((x) => x.name === "tick" && x.error === "" && failed.links.includes(x.spanId)));
  },
);

test.serial("what peers did for a tick that turned out slow is written although it was not sampled", async (t) => {
  const r = await receiver();
  t.teardown(r.stop);
  // Every tick is slow, none is sampled.
  await loop(t, { config: { tracing: { endpoint: r.endpoint, sample_ms: 3_600_000, slow_ms: 0.001 } } });
  const spans = await eventually("a slow tick with all its spans", async () =>
    [...group(r.spans()).values()].find(
      (list) =>
        SERVICES.every((name) => list.some((x) => x.service === name)) &&
        list.some((x) => x.name === "tick" && x.attributes["marllb.slow"] === true),
    ),
  );
  t.deepEqual(orderErrors(spans), []);
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
