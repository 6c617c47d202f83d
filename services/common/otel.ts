// SPDX-License-Identifier: Apache-2.0
// OpenTelemetry's SDK: imported only where traces are wanted.
import { randomBytes } from "node:crypto";
import os from "node:os";
import { type Context, type ContextManager, DiagConsoleLogger, DiagLogLevel, diag, ROOT_CONTEXT } from "@opentelemetry/api";
import { defaultResource, detectResources, envDetector, type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ConsoleSpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  type Span,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace-node";
import { systemClock } from "./clock.js";
import type { TraceTarget } from "./otel-settings.js";
import { enableTracing, type TraceIds } from "./telemetry.js";
import { version } from "./version.js";

/** Ids as usual, unless the next span's were given beforehand. The SDK asks for the two in no promised order. */
class PresetIds {
  private next: Partial<TraceIds> = {};
  preset(ids: Partial<TraceIds>): void {
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

const SHUTDOWN_MS = 1000;
const QUEUE = 2048;
const EXPORT_TIMEOUT_MS = 2000;
const EXPORT_EVERY_MS = 2000;

/**
 * The context of what runs now, as far as it runs without a pause. The SDK's own follows every promise of the process through Node's hooks,
 * which costs the tick more than its spans do; where a context must outlast a pause, `inContext` carries it.
 */
class Contexts implements ContextManager {
  #now: Context = ROOT_CONTEXT;
  active = (): Context => this.#now;
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    to: Context,
    fn: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    const before = this.#now;
    this.#now = to;
    try {
      return fn.call(self as ThisParameterType<F>, ...args);
    } finally {
      this.#now = before;
    }
  }
  bind<T>(to: Context, target: T): T {
    if (typeof target !== "function") return target;
    const fn = target as unknown as (...args: unknown[]) => unknown;
    const manager = this;
    return function (this: unknown, ...args: unknown[]) {
      return manager.with(to, fn, this, ...args);
    } as unknown as T;
  }
  enable = (): this => this;
  disable = (): this => this;
}

/** Spans since the start, by what became of them. */
export interface SpanFigures {
  exported: number;
  /** The receiver did not take them. */
  failed: number;
  /** They found the queue full. */
  dropped: number;
}

export interface TraceEvents {
  /** Said once, however long it lasts. */
  failing(reason: string): void;
  again(lost: number): void;
}

/** Hands spans on and counts them. The SDK's own processor drops and fails without a word. */
class Counted implements SpanExporter, SpanProcessor {
  readonly figures: SpanFigures = { exported: 0, failed: 0, dropped: 0 };
  readonly #batches: BatchSpanProcessor;
  readonly #exporter: SpanExporter;
  readonly #events: TraceEvents;
  readonly #room: number;
  #waiting = 0;
  /** Lost since the receiver took some; null: it takes them. */
  #lost: number | null = null;

  constructor(exporter: SpanExporter, room: number, events: TraceEvents, every: { scheduledDelayMillis?: number }) {
    this.#exporter = exporter;
    this.#room = room;
    this.#events = events;
    this.#batches = new BatchSpanProcessor(this, { maxQueueSize: room, ...every });
  }

  onStart(span: Span, context: Parameters<SpanProcessor["onStart"]>[1]): void {
    this.#batches.onStart(span, context);
  }

  onEnd(span: ReadableSpan): void {
    if (this.#waiting >= this.#room) this.figures.dropped++;
    else this.#waiting++;
    this.#batches.onEnd(span);
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter["export"]>[1]): void {
    this.#waiting = Math.max(0, this.#waiting - spans.length);
    this.#exporter.export(spans, (result) => {
      if (result.code === 0) this.#taken(spans.length);
      else this.#refused(spans.length, result.error?.message ?? "no reason given");
      done(result);
    });
  }

  forceFlush = (): Promise<void> => this.#batches.forceFlush();

  /** Called for the processor, which shuts its exporter down, which is this too. */
  #closing: Promise<void> | null = null;
  shutdown(): Promise<void> {
    if (this.#closing) return this.#exporter.shutdown();
    this.#closing = this.#batches.shutdown();
    return this.#closing;
  }

  #taken(n: number): void {
    this.figures.exported += n;
    if (this.#lost === null) return;
    this.#events.again(this.#lost);
    this.#lost = null;
  }

  #refused(n: number, reason: string): void {
    this.figures.failed += n;
    if (this.#lost === null) this.#events.failing(reason);
    this.#lost = (this.#lost ?? 0) + n;
  }
}

async function exporterFor({ exporter, protocol, url }: TraceTarget): Promise<SpanExporter> {
  if (exporter === "console") return new ConsoleSpanExporter();
  const set = (name: string): boolean => (process.env[name] ?? "") !== "";
  const patient = set("OTEL_EXPORTER_OTLP_TIMEOUT") || set("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
  const options = { ...(url === undefined ? {} : { url }), ...(patient ? {} : { timeoutMillis: EXPORT_TIMEOUT_MS }) };
  switch (protocol) {
    case "http/protobuf":
      return new (await import("@opentelemetry/exporter-trace-otlp-proto")).OTLPTraceExporter(options);
    case "http/json":
      return new (await import("@opentelemetry/exporter-trace-otlp-http")).OTLPTraceExporter(options);
    default:
      return new (await import("@opentelemetry/exporter-trace-otlp-grpc")).OTLPTraceExporter(options);
  }
}

/** Who it is: a load balancer's service on a host. What the user says (OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME) goes before. */
function resourceOf(service: string, instance: string, port: number): Resource {
  const host = os.hostname();
  const ours = resourceFromAttributes({
    "service.namespace": "marllb",
    "service.name": `marllb-${service}`,
    "service.version": version,
    "service.instance.id": `${instance}@${host}:${port}`,
    "host.name": host,
    "process.pid": process.pid,
    "marllb.instance": instance,
  });
  return defaultResource()
    .merge(ours)
    .merge(detectResources({ detectors: [envDetector] }));
}

export interface Tracing {
  figures: Readonly<SpanFigures>;
  /** Flushes and ends; never rejects and takes a second at most. */
  stop(): Promise<void>;
}

/** `port`: where the service answers, which tells replicas of one host apart. */
export async function startOtel(
  who: { service: string; instance: string; port: number },
  target: TraceTarget,
  events: TraceEvents,
): Promise<Tracing> {
  // The SDK's own complaints, for those who ask for them.
  const level = process.env.OTEL_LOG_LEVEL?.trim().toUpperCase() as keyof typeof DiagLogLevel | undefined;
  if (level && level in DiagLogLevel) diag.setLogger(new DiagConsoleLogger(), { logLevel: DiagLogLevel[level] });
  const idGenerator = new PresetIds();
  const room = Number(process.env.OTEL_BSP_MAX_QUEUE_SIZE) || QUEUE;
  const every = process.env.OTEL_BSP_SCHEDULE_DELAY ? {} : { scheduledDelayMillis: EXPORT_EVERY_MS };
  const counted = new Counted(await exporterFor(target), room, events, every);
  const resource = resourceOf(who.service, who.instance, who.port);
  const provider = new NodeTracerProvider({ resource, idGenerator, spanProcessors: [counted] });
  provider.register({ contextManager: new Contexts() });
  const asksSampler = (process.env.OTEL_TRACES_SAMPLER ?? "") !== "";
  const wallUs = (): number => systemClock.monoUs() + systemClock.wallOffsetUs();
  enableTracing({ preset: (ids) => idGenerator.preset(ids), asksSampler, wallUs });
  return {
    figures: counted.figures,
    async stop() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, SHUTDOWN_MS);
      });
      await Promise.race([provider.shutdown().catch(() => {}), late]);
      clearTimeout(timer);
    },
  };
}
