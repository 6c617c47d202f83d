// SPDX-License-Identifier: Apache-2.0
// Orders as spans, on both sides of a call. Streams have none: one that lives as long as the process says nothing, and ticks have their own traces
// (tick-spans.ts). Nor have questions: the console and the replicas ask them all the time, and ticks and orders would drown in them.
import * as grpc from "@grpc/grpc-js";
import { beginSpan, parseTraceparent, type RunningSpan, tracingOn } from "../telemetry.js";
import { rpcAttributes } from "../tick-spans.js";

const QUESTIONS: ReadonlySet<string> = new Set([
  "GetStatus",
  "GetWeights",
  "GetPool",
  "GetPolicy",
  "GetTrust",
  "History",
  "Explain",
  "ListModels",
  "ShareExperiment",
]);
const TRACEPARENT = "traceparent";

/** The names of a call that is an order, where traces are on. */
function orderOf(m: {
  path: string;
  requestStream: boolean;
  responseStream: boolean;
}): { service: string; method: string } | null {
  if (!tracingOn() || m.requestStream || m.responseStream) return null;
  const [, service = "", method = ""] = m.path.split("/");
  return service.startsWith("marllb.") && !QUESTIONS.has(method) ? { service, method } : null;
}

/** Its end, whichever of several ways comes first. */
function ending(span: RunningSpan): (code: grpc.status, details: string) => void {
  let over = false;
  return (code, details) => {
    if (over) return;
    over = true;
    const why = details || (grpc.status[code] ?? String(code));
    span.end({ "rpc.grpc.status_code": code }, code === grpc.status.OK ? undefined : why);
  };
}

/** Server side: the handler runs in the span's context, which a message of the caller's may name the parent of. */
export const serverSpans: grpc.ServerInterceptor = (definition, call) => {
  const order = orderOf(definition);
  if (order === null) return call as grpc.ServerInterceptingCall;
  const { service, method } = order;
  let span: RunningSpan | null = null;
  let end: ReturnType<typeof ending> = () => {};
  const within = (fn: () => void): void => (span ? span.within(fn) : fn());
  return new grpc.ServerInterceptingCall(call, {
    start(next) {
      next({
        onReceiveMetadata(metadata, forward) {
          const traceparent = String(metadata.get(TRACEPARENT)[0] ?? "");
          span = beginSpan(`${service}/${method}`, "SERVER", rpcAttributes(service, method), parseTraceparent({ traceparent }));
          if (span) end = ending(span);
          within(() => forward(metadata));
        },
        onReceiveMessage: (message, forward) => within(() => forward(message)),
        onReceiveHalfClose: (forward) => within(forward),
        onCancel: () => end(grpc.status.CANCELLED, "the caller has gone"),
      });
    },
    sendStatus(status, next) {
      end(status.code ?? grpc.status.OK, status.details ?? "");
      next(status);
    },
  });
};

const clientSpan: grpc.Interceptor = (options, nextCall) => {
  const order = orderOf(options.method_definition);
  const span = order && beginSpan(`${order.service}/${order.method}`, "CLIENT", rpcAttributes(order.service, order.method));
  if (!span) return new grpc.InterceptingCall(nextCall(options));
  const end = ending(span);
  return new grpc.InterceptingCall(nextCall(options), {
    start(metadata, _listener, next) {
      metadata.set(TRACEPARENT, span.traceparent);
      next(metadata, {
        onReceiveStatus(status, forward) {
          end(status.code, status.details);
          forward(status);
        },
      });
    },
  });
};

/** Client side, by method: the span of an order travels with it. Nothing lies in the way of any other call. */
export const clientSpans: grpc.InterceptorProvider = (definition) =>
  (orderOf(definition) === null ? undefined : clientSpan) as grpc.Interceptor;
