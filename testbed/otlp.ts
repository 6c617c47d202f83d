// SPDX-License-Identifier: Apache-2.0
// Reads the spans of an OTLP ExportTraceServiceRequest: the few fields that the tests look at, by their numbers in trace.proto; and a
// receiver that keeps what it is sent.
import type { Server } from "@grpc/grpc-js";

type Value = string | number | boolean;

export interface OtlpSpan {
  service: string;
  resource: Record<string, Value>;
  traceId: string;
  spanId: string;
  parentId: string;
  name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  /** Microseconds since 1970. */
  startUs: number;
  endUs: number;
  attributes: Record<string, Value>;
  /** Span ids of other traces. */
  links: string[];
  /** The status message, where the status is an error. */
  error: string;
}

export const CONSUMER = 5;

type Field = [field: number, value: Buffer | number];

function fields(message: Buffer): Field[] {
  const out: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const field = tag >> 3;
    if ((tag & 7) === 2) {
      const length = varint();
      out.push([field, message.subarray(at, at + length)]);
      at += length;
    } else if ((tag & 7) === 0) out.push([field, varint()]);
    else {
      const size = (tag & 7) === 1 ? 8 : 4;
      out.push([field, message.subarray(at, at + size)]);
      at += size;
    }
  }
  return out;
}

const parts = (message: Buffer, field: number): Buffer[] =>
  fields(message).flatMap(([f, v]) => (f === field && Buffer.isBuffer(v) ? [v] : []));
const part = (message: Buffer, field: number): Buffer => parts(message, field)[0] ?? Buffer.alloc(0);
const number = (message: Buffer, field: number): number =>
  Number(fields(message).find(([f, v]) => f === field && typeof v === "number")?.[1] ?? 0);

/** AnyValue: string 1, bool 2, int 3, double 4. */
function anyValue(any: Buffer): Value {
  const [first] = fields(any);
  if (first === undefined) return "";
  const [field, value] = first;
  if (field === 1) return String(value);
  if (field === 2) return value === 1;
  if (field === 4) return (value as Buffer).readDoubleLE();
  return Number(value);
}

const attributesOf = (message: Buffer, field: number): Record<string, Value> =>
  Object.fromEntries(parts(message, field).map((a) => [part(a, 1).toString(), anyValue(part(a, 2))]));

const us = (message: Buffer, field: number): number => Number(part(message, field).readBigUInt64LE() / 1000n);

function spanOf(span: Buffer, resource: Record<string, Value>): OtlpSpan {
  const status = part(span, 15);
  return {
    service: String(resource["service.name"] ?? ""),
    resource,
    traceId: part(span, 1).toString("hex"),
    spanId: part(span, 2).toString("hex"),
    parentId: part(span, 4).toString("hex"),
    name: part(span, 5).toString(),
    kind: number(span, 6),
    startUs: us(span, 7),
    endUs: us(span, 8),
    attributes: attributesOf(span, 9),
    links: parts(span, 13).map((l) => part(l, 2).toString("hex")),
    error: number(status, 3) === 2 ? part(status, 2).toString() || "error" : "",
  };
}

export function spansOf(body: Buffer): OtlpSpan[] {
  return parts(body, 1).flatMap((resourceSpans) => {
    const resource = attributesOf(part(resourceSpans, 1), 1);
    return parts(resourceSpans, 2).flatMap((scope) => parts(scope, 2).map((span) => spanOf(span, resource)));
  });
}

/**
 * What is wrong with the times of spans: an end before its start, a child outside its parent. A consumer's work comes after its parent's
 * end, and a server may go on after the caller has given up: these only must not begin before their parent.
 */
export function orderErrors(spans: readonly OtlpSpan[]): string[] {
  const byId = new Map(spans.map((s) => [s.spanId, s]));
  const out: string[] = [];
  for (const s of spans) {
    const at = `${s.service} ${s.name}`;
    if (s.endUs < s.startUs) out.push(`${at}: ends ${s.startUs - s.endUs} us before its start`);
    const parent = byId.get(s.parentId);
    if (!parent) continue;
    if (s.startUs < parent.startUs) out.push(`${at}: begins ${parent.startUs - s.startUs} us before ${parent.name}`);
    const mayOutlast = s.kind === CONSUMER || (s.service !== parent.service && parent.error !== "");
    if (!mayOutlast && s.endUs > parent.endUs) out.push(`${at}: ends ${s.endUs - parent.endUs} us after ${parent.name}`);
  }
  return out;
}

export interface Receiver {
  endpoint: string;
  spans(): OtlpSpan[];
  /** Forgets them. */
  clear(): void;
  stop(): void;
}

/** An OTLP receiver over gRPC: a server that keeps the bytes. */
export async function receiver(port = 0): Promise<Receiver> {
  const grpc = await import("@grpc/grpc-js");
  const server: Server = new grpc.Server();
  const bodies: Buffer[] = [];
  const asIs = (b: Buffer): Buffer => b;
  const method = {
    path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  server.addService(
    { Export: method },
    {
      Export(call: { request: Buffer }, callback: (e: null, b: Buffer) => void) {
        bodies.push(Buffer.from(call.request));
        callback(null, Buffer.alloc(0));
      },
    },
  );
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (e, p) => (e ? reject(e) : resolve(p)));
  });
  return {
    endpoint: `http://127.0.0.1:${bound}`,
    spans: () => bodies.flatMap(spansOf),
    clear: () => void (bodies.length = 0),
    stop: () => server.forceShutdown(),
  };
}
