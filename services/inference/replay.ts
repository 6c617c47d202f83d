// SPDX-License-Identifier: Apache-2.0
// The decision log read again: what the policy decided is decided anew, and what another one would have decided beside it.
import { readFileSync, statSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import { digestOf } from "./decision-log.js";
import { type Identify, MAGIC, type Read, unpack } from "./log-format.js";
import type { LastStep, Session } from "./session.js";
import { apart, sharesOf } from "./shadow.js";

/** The ticks of a file, in order. A record that is cut off at the end (the writer was killed) ends it. */
export function* ticksOf(file: string, identify: Identify): Iterable<Read> {
  const all = readFileSync(file);
  if (!all.subarray(0, MAGIC.length).equals(Buffer.from(MAGIC))) throw new Error(`${file}: expected a decision log of marllb`);
  let before: Read | null = null;
  for (let at = MAGIC.length; at + 5 <= all.length; ) {
    const length = all.readUInt32LE(at);
    const end = at + 4 + length;
    if (length < 1 || end > all.length) return;
    const read = readAt(file, all, at, end, before, identify);
    yield read;
    before = read;
    at = end;
  }
}

function readAt(file: string, all: Buffer, at: number, end: number, before: Read | null, identify: Identify): Read {
  try {
    return unpack(all.readUInt8(at + 4), inflateRawSync(all.subarray(at + 5, end)), before?.frame ?? null, identify);
  } catch (e) {
    throw new Error(`${file}: the record at byte ${at} cannot be read: ${(e as Error).message}`);
  }
}

export interface Replayed {
  ticks: number;
  bytes: number;
  /** Decided anew with what the log says was remembered. */
  compared: number;
  same: number;
  /** Of the other policy: mean distance of the shares from those that were decided, 0..1. */
  distance: number;
  from: number;
  to: number;
}

export interface ReplayOptions {
  identify: Identify;
  session(policy: string): Session;
  /** What else is asked; undefined: only what decided then. */
  policy?: string;
  /** Unix ms: no tick after it. */
  until?: number;
  each?(read: Read, then: LastStep, other: LastStep | null): void;
}

export async function replay(files: readonly string[], o: ReplayOptions): Promise<Replayed> {
  const out: Replayed = { ticks: 0, bytes: 0, compared: 0, same: 0, distance: 0, from: 0, to: 0 };
  let session: Session | null = null;
  let other: Session | null = null;
  for (const file of files) {
    out.bytes += statSync(file).size;
    for (const read of ticksOf(file, o.identify)) {
      if (read.atUnixMs > (o.until ?? Number.POSITIVE_INFINITY)) break;
      if (session === null || read.checkpoint) {
        session = o.session(read.policy);
        if (read.checkpoint && !session.restore(read.checkpoint))
          throw new Error(`${file}: what the policy remembered cannot be read`);
        session.setPolicy(read.policy);
        if (o.policy !== undefined && other === null) {
          other = o.session(o.policy);
          if (read.checkpoint) other.restore({ ...read.checkpoint, policy: "" });
        }
      }
      session.setPolicy(read.policy);
      const weights = await session.step(read.frame);
      await other?.step(read.frame);
      const { last } = session;
      if (!last) continue;
      out.ticks++;
      out.from ||= read.atUnixMs;
      out.to = read.atUnixMs;
      // Right after a key record a policy of longer steps waits for its next one: it has nothing to answer with.
      if ((last.fellBack !== "") === read.fellBack) {
        out.compared++;
        if (digestOf(weights).equals(read.digest)) out.same++;
      }
      if (other?.last) {
        out.distance += apart(sharesOf(last.output.weights), sharesOf(other.last.output.weights));
      }
      o.each?.(read, last, other?.last ?? null);
    }
  }
  if (out.ticks > 0) out.distance /= out.ticks;
  return out;
}
