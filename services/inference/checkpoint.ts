// SPDX-License-Identifier: Apache-2.0
// A session's state as bytes: the observation's (opaque) and the policy's, one row a server id. Little-endian. Bytes come back from
// agents, so nothing in them is believed.

export interface PolicyState {
  size: number;
  ids: Uint32Array;
  /** [ids.length * size]. */
  values: Float32Array;
}

export interface SavedState {
  observation: Buffer;
  policy: PolicyState;
}

const MAGIC = 0x314b434d;
const HEADER = 16;
const MAX_SERVERS = 1024;

export const EMPTY: PolicyState = { size: 0, ids: new Uint32Array(0), values: new Float32Array(0) };

export function encodeState(s: SavedState): Buffer {
  const { ids, values, size } = s.policy;
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(s.observation.length, 4);
  header.writeUInt32LE(ids.length, 8);
  header.writeUInt32LE(size, 12);
  return Buffer.concat([
    header,
    s.observation,
    Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength),
    Buffer.from(values.buffer, values.byteOffset, values.byteLength),
  ]);
}

/** Null where the bytes are not what encodeState makes, or hold values that are not finite. */
export function decodeState(bytes: Uint8Array): SavedState | null {
  const b = Buffer.from(bytes);
  if (b.length < HEADER || b.readUInt32LE(0) !== MAGIC) return null;
  const observed = b.readUInt32LE(4);
  const n = b.readUInt32LE(8);
  const size = b.readUInt32LE(12);
  if (n > MAX_SERVERS || size > 4096 || b.length !== HEADER + observed + 4 * n + 4 * n * size) return null;
  const observation = Buffer.from(b.subarray(HEADER, HEADER + observed));
  const ids = new Uint32Array(Uint8Array.from(b.subarray(HEADER + observed, HEADER + observed + 4 * n)).buffer);
  const values = new Float32Array(Uint8Array.from(b.subarray(HEADER + observed + 4 * n)).buffer);
  if (!values.every(Number.isFinite)) return null;
  return { observation, policy: { size, ids, values } };
}

/** The state's rows for these servers, in their order; a server that is not in it starts from zero. */
export function rowsFor(s: PolicyState, ids: ArrayLike<number>, size: number): Float32Array {
  const out = new Float32Array(ids.length * size);
  if (s.size !== size || size === 0) return out;
  let same = s.ids.length === ids.length;
  for (let i = 0; same && i < ids.length; i++) same = s.ids[i] === ids[i];
  if (same) {
    out.set(s.values);
    return out;
  }
  const at = new Map(Array.from(s.ids, (id, i) => [id, i]));
  for (let i = 0; i < ids.length; i++) {
    const j = at.get(ids[i] as number);
    if (j !== undefined) out.set(s.values.subarray(j * size, (j + 1) * size), i * size);
  }
  return out;
}
