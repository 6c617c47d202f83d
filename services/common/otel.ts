// SPDX-License-Identifier: Apache-2.0
// OpenTelemetry's SDK: imported only where an endpoint is configured, and before anything imports gRPC.
import { randomBytes } from "node:crypto";
import { register } from "node:module";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { GrpcInstrumentation } from "@opentelemetry/instrumentation-grpc";
import { NodeSDK, resources, tracing } from "@opentelemetry/sdk-node";
import { enableTracing, type TraceIds } from "./telemetry.js";

/** Ids as usual, unless the next span's were given beforehand. The SDK asks for the two in no promised order. */
class PresetIds {
  private next: Partial<TraceIds> = {};
  preset(ids: TraceIds): void {
    this.next = { ...ids };
  }
  generateTraceId = (): string => this.take("traceId") ?? randomBytes(16).toString("hex");
  generateSpanId = (): string => this.take("spanId") ?? randomBytes(8).toString("hex");
  private take(which: keyof TraceIds): string | undefined {
    const id = this.next[which];
    delete this.next[which];
    return id;
  }
}

// A span of a stream that lives as long as the process says nothing; ticks have their own traces.
const streams = ["Steer", "Supervise", "Report", "Watch", "WatchPool", "StreamStats", "ServerReflectionInfo", "Export"];

const SHUTDOWN_MS = 1000;

/** Returns what flushes and stops it; that never rejects and takes a second at most. */
export function startOtel(service: string, instance: string, endpoint: string): () => Promise<void> {
  register("@opentelemetry/instrumentation/hook.mjs", import.meta.url);
  const idGenerator = new PresetIds();
  const url = /^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`;
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: 2000 });
  const sdk = new NodeSDK({
    resource: resources.resourceFromAttributes({ "service.name": `marllb-${service}`, "service.instance.id": instance }),
    idGenerator,
    // What is worth a span was decided before it was made.
    sampler: new tracing.AlwaysOnSampler(),
    spanProcessors: [new tracing.BatchSpanProcessor(exporter, { scheduledDelayMillis: 500, maxQueueSize: 2048 })],
    instrumentations: [new GrpcInstrumentation({ ignoreGrpcMethods: streams })],
    // Traces only: metrics and logs go their own ways, and the defaults would post to localhost.
    metricReaders: [],
    logRecordProcessors: [],
    autoDetectResources: false,
  });
  sdk.start();
  enableTracing((ids) => idGenerator.preset(ids));
  return async () => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, SHUTDOWN_MS);
    });
    await Promise.race([sdk.shutdown().catch(() => {}), late]);
    clearTimeout(timer);
  };
}
