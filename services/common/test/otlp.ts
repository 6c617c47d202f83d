// SPDX-License-Identifier: Apache-2.0
// Reads the spans of an OTLP ExportTraceServiceRequest: the few fields that the tests look at, by their numbers in trace.proto.

export interface OtlpSpan {
  service: string;
  traceId: string;
  spanId: string;
  parentId: string;
  name: string;
  /** The status message, where the status is an error. */
  error: string;
}

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
    else at += (tag & 7) === 1 ? 8 : 4;
  }
  return out;
}

const parts = (message: Buffer, field: number): Buffer[] =>
  fields(message).flatMap(([f, v]) => (f === field && Buffer.isBuffer(v) ? [v] : []));
const part = (message: Buffer, field: number): Buffer => parts(message, field)[0] ?? Buffer.alloc(0);

function serviceOf(resource: Buffer): string {
  for (const attribute of parts(resource, 1)) {
    if (part(attribute, 1).toString() === "service.name") return part(part(attribute, 2), 1).toString();
  }
  return "";
}

export function spansOf(body: Buffer): OtlpSpan[] {
  return parts(body, 1).flatMap((resourceSpans) => {
    const service = serviceOf(part(resourceSpans, 1));
    return parts(resourceSpans, 2).flatMap((scope) =>
      parts(scope, 2).map((span) => {
        const status = part(span, 15);
        const failed = fields(status).some(([f, v]) => f === 3 && v === 2);
        return {
          service,
          traceId: part(span, 1).toString("hex"),
          spanId: part(span, 2).toString("hex"),
          parentId: part(span, 4).toString("hex"),
          name: part(span, 5).toString(),
          error: failed ? part(status, 2).toString() || "error" : "",
        };
      }),
    );
  });
}
