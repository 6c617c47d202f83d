// SPDX-License-Identifier: Apache-2.0
// Whether spans are sent, and how: the configuration's `tracing`, and OpenTelemetry's own variables (OTEL_*), which need no
// configuration. Those that are not named here the SDK reads by itself: headers, time-outs, compression, certificates, limits, batches.
import { ConfigError } from "./config/error.js";
import type { Config } from "./config/load.js";
import { TRACE_PROTOCOLS } from "./config/schema.js";

type TraceProtocol = (typeof TRACE_PROTOCOLS)[number];

export interface TraceTarget {
  exporter: "otlp" | "console";
  protocol: TraceProtocol;
  /** Absent: as OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT says. */
  url?: string;
  /** For people: where spans go. */
  where: string;
}

type Environment = Record<string, string | undefined>;

/** null: no spans are made. The configuration goes before the environment. */
export function traceTarget({ tracing }: Pick<Config, "tracing">, env: Environment): TraceTarget | null {
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === "true") return null;
  const exporter = env.OTEL_TRACES_EXPORTER?.trim() ?? "";
  if (!["", "none", "otlp", "console"].includes(exporter))
    throw new ConfigError([`OTEL_TRACES_EXPORTER: expected otlp, console or none, found "${exporter}"`]);
  if (exporter === "none") return null;
  const fromEnv = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT?.trim() || env.OTEL_EXPORTER_OTLP_ENDPOINT?.trim() || "";
  if (tracing.endpoint === "" && fromEnv === "" && exporter === "") return null;
  const said =
    tracing.protocol || env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL?.trim() || env.OTEL_EXPORTER_OTLP_PROTOCOL?.trim() || "grpc";
  const protocol = TRACE_PROTOCOLS.find((p) => p === said);
  if (!protocol) throw new ConfigError([`OTEL_EXPORTER_OTLP_PROTOCOL: expected ${TRACE_PROTOCOLS.join(", ")}, found "${said}"`]);
  const base = { exporter: exporter === "console" ? "console" : "otlp", protocol } as const;
  if (base.exporter === "console") return { ...base, where: "standard output" };
  if (tracing.endpoint === "") return { ...base, where: fromEnv || "OpenTelemetry's own default" };
  const url = urlOf(tracing.endpoint, protocol);
  return { ...base, url, where: url };
}

/** A host and port is plain text; over HTTP, traces have a path of their own. */
function urlOf(endpoint: string, protocol: TraceProtocol): string {
  const url = /^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`;
  if (protocol === "grpc") return url;
  return new URL(url).pathname === "/" ? `${url.replace(/\/$/, "")}/v1/traces` : url;
}
