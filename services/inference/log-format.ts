// SPDX-License-Identifier: Apache-2.0
// The decision log's records. A file: MAGIC, then records of length (u32, little-endian), kind and a deflated body. A key record holds a
// whole frame and the policy's memory before it; a tick record the difference from the frame before, byte by byte, all servers' first bytes
// first: bytes of one field lie side by side, and most of them are 0.
import type { Checkpoint__Output } from "../../gen/marllb/v1/Checkpoint.js";
import type { Frame__Output } from "../../gen/marllb/v1/Frame.js";

export const MAGIC = "marllb decisions 1\n";
export const KEY = 1;
export const TICK = 2;
const DIGEST = 8;

/** What one tick brought. */
export interface Tick {
  atUnixMs: number;
  frame: Frame__Output;
  /** Who was asked. */
  policy: string;
  /** Kalman answered for it. */
  fellBack: boolean;
  digest: Buffer;
}

export interface Packed {
  kind: number;
  body: Buffer;
}

const text = (s: string): Buffer => {
  const b = Buffer.from(s, "utf8");
  const n = Buffer.alloc(2);
  n.writeUInt16LE(b.length);
  return Buffer.concat([n, b]);
};
const bytes = (b: Uint8Array): Buffer => {
  const n = Buffer.alloc(4);
  n.writeUInt32LE(b.length);
  return Buffer.concat([n, b]);
};

function head(t: Tick): Buffer {
  const at = Buffer.alloc(9);
  at.writeDoubleLE(t.atUnixMs, 0);
  at.writeUInt8(t.fellBack ? 1 : 0, 8);
  return Buffer.concat([at, t.digest, text(t.policy)]);
}

export function packKey(t: Tick, c: Checkpoint__Output): Packed {
  const f = t.frame;
  const ids = Buffer.alloc(12);
  ids.writeUInt32LE(f.schema, 0);
  ids.writeUInt32LE(f.record_size, 4);
  ids.writeUInt32LE(c.schema, 8);
  return {
    kind: KEY,
    body: Buffer.concat([
      head(t),
      ids,
      text(f.instance),
      bytes(f.hdr as Buffer),
      bytes(f.records as Buffer),
      text(c.policy),
      bytes(c.state as Buffer),
    ]),
  };
}

/** Column by column of `width` bytes a server. */
function turned(from: Uint8Array, width: number, back: boolean): Buffer {
  const rows = from.length / width;
  const out = Buffer.alloc(from.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < width; c++) {
      if (back) out[r * width + c] = from[c * rows + r] as number;
      else out[c * rows + r] = from[r * width + c] as number;
    }
  }
  return out;
}

/** Byte by byte, modulo 256; `sign` -1 takes it away again. */
function moved(a: Uint8Array, b: Uint8Array, sign: 1 | -1): Buffer {
  const out = Buffer.alloc(a.length);
  for (let i = 0; i < a.length; i++) out[i] = (a[i] as number) - sign * (b[i] as number);
  return out;
}

export function packTick(t: Tick, before: Frame__Output): Packed {
  const { hdr, records, record_size } = t.frame;
  const difference = turned(moved(records as Buffer, before.records as Buffer, 1), record_size, false);
  return { kind: TICK, body: Buffer.concat([head(t), moved(hdr as Buffer, before.hdr as Buffer, 1), difference]) };
}

class Reader {
  #at = 0;
  constructor(private readonly b: Buffer) {}
  take(n: number): Buffer {
    if (this.#at + n > this.b.length) throw new Error("a record is cut off");
    return this.b.subarray(this.#at, (this.#at += n));
  }
  text(): string {
    return this.take(this.take(2).readUInt16LE()).toString("utf8");
  }
  bytes(): Buffer {
    return Buffer.from(this.take(this.take(4).readUInt32LE()));
  }
}

const headOf = (r: Reader): Omit<Tick, "frame"> => {
  const at = r.take(9);
  return { atUnixMs: at.readDoubleLE(0), fellBack: at.readUInt8(8) === 1, digest: Buffer.from(r.take(DIGEST)), policy: r.text() };
};

/** What `unpack` needs of the frame's own header to fill the message again. */
export type Identify = (hdr: Uint8Array) => {
  vipId: number;
  dpEpoch: bigint;
  birth: bigint;
  generation: number;
  seq: number | bigint;
};

function frameOf(
  hdr: Buffer,
  records: Buffer,
  like: Pick<Frame__Output, "schema" | "record_size" | "instance">,
  identify: Identify,
): Frame__Output {
  const i = identify(hdr);
  return {
    vip_id: i.vipId,
    schema: like.schema,
    record_size: like.record_size,
    hdr,
    records,
    trace: null,
    kept: [],
    dp_epoch: i.dpEpoch.toString(),
    generation: i.generation,
    seq: String(i.seq),
    instance: like.instance,
    want_weights: true,
    birth: i.birth.toString(),
  };
}

export interface Read extends Tick {
  /** Of a key record. */
  checkpoint: Checkpoint__Output | null;
}

/** Throws where the record is not one of ours. */
export function unpack(kind: number, body: Buffer, before: Frame__Output | null, identify: Identify): Read {
  const r = new Reader(body);
  const of = headOf(r);
  if (kind === KEY) {
    const ids = r.take(12);
    const like = { schema: ids.readUInt32LE(0), record_size: ids.readUInt32LE(4), instance: r.text() };
    const [hdr, records] = [r.bytes(), r.bytes()];
    const frame = frameOf(hdr, records, like, identify);
    const checkpoint = { vip_id: frame.vip_id, policy: r.text(), schema: ids.readUInt32LE(8), state: r.bytes() };
    return { ...of, frame, checkpoint };
  }
  if (kind !== TICK || before === null) throw new Error("expected a key record first");
  const hdr = moved(r.take(before.hdr.length), before.hdr as Buffer, -1);
  const difference = turned(r.take(before.records.length), before.record_size, true);
  return { ...of, frame: frameOf(hdr, moved(difference, before.records as Buffer, -1), before, identify), checkpoint: null };
}
