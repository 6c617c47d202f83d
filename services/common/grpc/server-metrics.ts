// SPDX-License-Identifier: Apache-2.0
// What a gRPC server does, under the names that dashboards for gRPC know.
import * as grpc from "@grpc/grpc-js";
import { Counter, Histogram, type Registry, readCounter } from "../metrics.js";

type Key = "grpc_service" | "grpc_method" | "grpc_type";
type Method = Record<Key, string>;

interface Counts {
  labels: Method;
  started: number;
  received: number;
  sent: number;
}

const KEYS = ["grpc_service", "grpc_method", "grpc_type"] as const;
const SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5];

function methodOf(m: { path: string; requestStream: boolean; responseStream: boolean }): Method {
  const [, service = "", method = ""] = m.path.split("/");
  const type = m.requestStream
    ? m.responseStream
      ? "bidi_stream"
      : "client_stream"
    : m.responseStream
      ? "server_stream"
      : "unary";
  return { grpc_service: service, grpc_method: method, grpc_type: type };
}

/** Counts the calls and messages of these services; others (reflection, health) are not counted. */
export function countCalls(
  registry: Registry,
  services: readonly grpc.ServiceDefinition[],
  now: () => number,
): grpc.ServerInterceptor {
  const rows = new Map<string, Counts>();
  for (const definition of services) {
    for (const m of Object.values(definition)) rows.set(m.path, { labels: methodOf(m), started: 0, received: 0, sent: 0 });
  }
  const read = (name: string, help: string, value: (c: Counts) => number): void =>
    readCounter(registry, name, help, KEYS, (say) => {
      for (const c of rows.values()) say(c.labels, value(c));
    });
  read("grpc_server_started_total", "RPCs begun", (c) => c.started);
  read("grpc_server_msg_received_total", "Messages from clients", (c) => c.received);
  read("grpc_server_msg_sent_total", "Messages to clients", (c) => c.sent);
  const handled = new Counter({
    name: "grpc_server_handled_total",
    help: "RPCs that ended, by status",
    labelNames: [...KEYS, "grpc_code"],
    registers: [registry],
    born: [...rows.values()].map((c) => ({ ...c.labels, grpc_code: "OK" })),
  });
  const seconds = new Histogram({
    name: "grpc_server_handling_seconds",
    help: "Time that unary RPCs took",
    labelNames: KEYS,
    buckets: SECONDS,
    registers: [registry],
  });
  for (const { labels } of rows.values()) if (labels.grpc_type === "unary") seconds.born(labels);

  return (method, call) => {
    const counts = rows.get(method.path);
    if (!counts) return new grpc.ServerInterceptingCall(call);
    const { labels } = counts;
    const began = now();
    let ended = false;
    const end = (code: grpc.status): void => {
      if (ended) return;
      ended = true;
      handled.inc({ ...labels, grpc_code: grpc.status[code] ?? String(code) });
      if (labels.grpc_type === "unary") seconds.observe(labels, (now() - began) / 1000);
    };
    counts.started++;
    return new grpc.ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMessage(message, forward) {
            counts.received++;
            forward(message);
          },
          onCancel: () => end(grpc.status.CANCELLED),
        });
      },
      sendMessage(message, next) {
        counts.sent++;
        next(message);
      },
      sendStatus(status, next) {
        end(status.code ?? grpc.status.OK);
        next(status);
      },
    });
  };
}
