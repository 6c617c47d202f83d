// SPDX-License-Identifier: Apache-2.0
// Frames by field name. The addon decodes; nothing here knows an offset.
import { Owner, ServerFlag } from "../vocabulary.js";
import { addon, type Column, type Header, NativeError, native, type Protocol } from "./addon.js";

export type { Field, Protocol, RawFrame } from "./addon.js";
export { NativeError } from "./addon.js";

export const layout = addon.layout();

/** One VIP's frame, decoded by field name: what it is about at once, figures and the servers' columns when they are asked for. */
export class DecodedFrame {
  readonly vipId: number;
  readonly name: string;
  /** The VIP's own address, "10.0.0.1:80". */
  readonly address: string;
  readonly protocol: Protocol;
  readonly dpEpoch: bigint;
  readonly birth: bigint;
  readonly generation: number;
  readonly seq: bigint;
  readonly monoNs: bigint;
  readonly count: number;
  /** Of the directive in effect. */
  readonly term: bigint;
  /** enum mlb_ladder in effect. */
  readonly ladder: number;
  /** enum mlb_load. */
  readonly load: number;
  readonly #hdr: Uint8Array;
  readonly #records: Uint8Array;
  #header: { fields: Header; figures: Record<string, number> } | null = null;
  #addresses: readonly string[] | null = null;
  readonly #columns = new Map<string, Column>();

  constructor(hdr: Uint8Array, records: Uint8Array) {
    this.#hdr = hdr;
    this.#records = records;
    const i = native(() => addon.decodeIdentity(hdr));
    this.vipId = i.vipId;
    this.name = i.name;
    this.address = i.address;
    this.protocol = i.protocol;
    this.dpEpoch = i.dpEpoch;
    this.birth = i.birth;
    this.generation = i.generation;
    this.seq = BigInt(i.seq);
    this.monoNs = i.monoNs;
    this.count = i.count;
    this.term = i.term;
    this.ladder = i.ladder;
    this.load = i.load;
    if (records.length !== this.count * layout.recordSize) {
      throw new NativeError(
        "EPROTO",
        `frame: ${this.count} records of ${layout.recordSize} bytes are expected, not ${records.length} bytes`,
      );
    }
  }

  get #all(): { fields: Header; figures: Record<string, number> } {
    if (this.#header === null) {
      const fields = native(() => addon.decodeHeader(this.#hdr));
      const figures: Record<string, number> = {};
      for (const [name, value] of Object.entries(fields)) if (typeof value === "number") figures[name] = value;
      this.#header = { fields, figures };
    }
    return this.#header;
  }

  get realNs(): bigint {
    return this.#all.fields.real_ns;
  }
  /** enum mlb_mode. */
  get mode(): number {
    return this.figures.mode as number;
  }
  get managed(): boolean {
    return this.figures.owner === Owner.MANAGED;
  }
  /** Figures of mlb_frame_hdr by name ("no_server", "applied_seq"), and refusals by reason. */
  get figures(): Readonly<Record<string, number>> {
    return this.#all.figures;
  }
  get refused(): Readonly<Record<string, number>> {
    return this.#all.fields.refused;
  }
  get ids(): Uint32Array {
    return this.column("id") as Uint32Array;
  }
  /** MLB_SRV_*. */
  get flags(): Uint16Array {
    return this.column("flags") as Uint16Array;
  }
  get flows(): Uint32Array {
    return this.column("flows") as Uint32Array;
  }
  get weightStatic(): Float32Array {
    return this.column("weight_static") as Float32Array;
  }

  /** Addresses as people write them. One may stand twice: a server that left and came back while old flows of it run on. */
  addresses(): readonly string[] {
    this.#addresses ??= native(() => addon.decodeAddresses(this.#records));
    return this.#addresses;
  }

  /** A field of mlb_server_rec by name, one number a server ("new_flows", "duration.mean"); 64-bit counts and times as doubles. */
  column(field: string): Column {
    let c = this.#columns.get(field);
    if (c === undefined) {
      c = native(() => addon.decodeColumn(this.#records, field));
      this.#columns.set(field, c);
    }
    return c;
  }

  /** BUCKETS (histogram.ts) a server, one server after the other. */
  histogram(field: "ttfb_hist" | "duration_hist"): Uint32Array {
    return this.column(field) as Uint32Array;
  }
}

/** What readers see of a frame. Tests make such ones without bytes. */
export type FrameView = Pick<DecodedFrame, keyof DecodedFrame>;

/**
 * The id of each address. An address may stand twice, while old flows run of a server that left and came back: the member has it, and
 * the record that is leaving only where there is no other.
 */
export function memberIds(v: FrameView): Map<string, number> {
  const ids = new Map<string, number>();
  v.addresses().forEach((address, i) => {
    if (((v.flags[i] as number) & ServerFlag.LEAVING) === 0 || !ids.has(address)) ids.set(address, v.ids[i] as number);
  });
  return ids;
}

/** Whose frame a header begins. Throws as decodeFrame does. */
export const identityOf = (hdr: Uint8Array) => native(() => addon.decodeIdentity(hdr));

/** Throws a NativeError (EPROTO) where the bytes are not a frame of this release. */
export function decodeFrame(frame: { hdr: Uint8Array; records: Uint8Array }): DecodedFrame {
  return new DecodedFrame(frame.hdr, frame.records);
}
