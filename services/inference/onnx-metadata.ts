// SPDX-License-Identifier: Apache-2.0
// Reads metadata_props of an ONNX file (ModelProto field 14, key and value), which onnxruntime-node does not give out. Only the
// top level of the message is walked; everything else is skipped by its length.

export function onnxMetadata(file: Uint8Array): Map<string, string> {
  const out = new Map<string, string>();
  for (const [field, bytes] of lengthDelimited(file)) {
    if (field !== 14) continue;
    const entry = new Map([...lengthDelimited(bytes)].map(([f, b]) => [f, Buffer.from(b).toString("utf8")]));
    const key = entry.get(1);
    if (key !== undefined) out.set(key, entry.get(2) ?? "");
  }
  return out;
}

/** Fields of wire type 2 of one message. Throws on bytes that are no message. */
function* lengthDelimited(message: Uint8Array): Generator<[field: number, bytes: Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at++];
      if (byte === undefined) throw new Error("not an ONNX file: it ends in mid-field");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error("not an ONNX file: a number has no end");
  };
  while (at < message.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        varint();
        break;
      case 1:
        at += 8;
        break;
      case 5:
        at += 4;
        break;
      case 2: {
        const length = varint();
        if (at + length > message.length) throw new Error("not an ONNX file: a field is longer than the file");
        yield [field, message.subarray(at, at + length)];
        at += length;
        break;
      }
      default:
        throw new Error("not an ONNX file: unknown kind of field");
    }
  }
}
