// SPDX-License-Identifier: Apache-2.0
// What the native addon does, as services use it: regions, frames by field name, observation, envelope, models.
import {
  addon,
  type Column,
  type Composed,
  type Effect,
  type EnvelopeInput,
  type Header,
  NativeError,
  type NativeNetwork,
  type NativeRegion,
  type NetworkInput,
  native,
  type ObservationShape,
  type Observed,
  type PoolVip,
  type Published,
  type RawFrame,
  type Vector,
} from "./addon.js";
import { Owner } from "./vocabulary.js";

export type {
  Composed,
  Effect,
  EnvelopeInput,
  Feature,
  NetworkInput,
  ObservationShape,
  Observed,
  PoolVip,
  Published,
  RawFrame,
  Vector,
} from "./addon.js";
export { NativeError } from "./addon.js";

export const layout = addon.layout();

/** An attachment to a region, as its one agent. `wake` is called, soon after, when frames or effects were published. */
export class Region {
  readonly instance: string;
  readonly dataplane: string;
  readonly dpEpoch: bigint;
  readonly agentEpoch: bigint;
  /** Period of frames. */
  readonly frameUs: number;
  readonly leaseUs: number;
  readonly workers: number;
  private readonly region: NativeRegion;

  constructor(file: string, wake: () => void) {
    this.region = native(() => new addon.Region(file, wake));
    const i = this.region.info();
    this.instance = i.instance;
    this.dataplane = i.dataplane;
    this.dpEpoch = i.dpEpoch;
    this.agentEpoch = i.agentEpoch;
    this.frameUs = i.frameUs;
    this.leaseUs = i.leaseUs;
    this.workers = i.workers;
  }

  /** Each VIP's newest frame, if newer than the last call's. */
  frames(): RawFrame[] {
    return native(() => this.region.frames());
  }

  /** Every VIP's last effect, if one is newer than the last call. */
  effects(): Effect[] {
    return native(() => this.region.effects());
  }

  /** Runs the envelope and, unless it refuses, publishes the result beside the other VIPs' last vectors. */
  publish(vector: Vector): Published {
    return native(() => this.region.publish(vector));
  }

  /** The envelope by itself, without publishing. */
  compose(input: EnvelopeInput): Composed {
    return compose(input);
  }

  /** The wanted server lists of all VIPs that have one; replaces what was published before. */
  publishPools(pools: readonly PoolVip[]): void {
    native(() => this.region.publishPools(pools));
  }

  /** Advances the agent's heartbeat: only after a tick was composed. */
  beat(): void {
    native(() => this.region.beat());
  }

  /** True where the path names another region by now: the data plane was restarted. */
  replaced(): boolean {
    return native(() => this.region.replaced());
  }

  /** Stops the waiting thread and lets go; calling it again does nothing. */
  close(): void {
    this.region.close();
  }
}

export function attachRegion(file: string, wake: () => void): Region {
  return new Region(file, wake);
}

/** One VIP's frame, decoded by field name: what it is about at once, figures and the servers' columns when they are asked for. */
export class DecodedFrame {
  readonly vipId: number;
  readonly name: string;
  /** The VIP's own address, "10.0.0.1:80". */
  readonly address: string;
  readonly dpEpoch: bigint;
  readonly birth: bigint;
  readonly generation: number;
  readonly seq: bigint;
  readonly monoNs: bigint;
  readonly count: number;
  /** enum mlb_load. */
  readonly load: number;
  private header: { fields: Header; figures: Record<string, number> } | null = null;
  private readonly columns = new Map<string, Column>();

  constructor(
    private readonly hdr: Uint8Array,
    private readonly records: Uint8Array,
  ) {
    const i = native(() => addon.decodeIdentity(hdr));
    this.vipId = i.vipId;
    this.name = i.name;
    this.address = i.address;
    this.dpEpoch = i.dpEpoch;
    this.birth = i.birth;
    this.generation = i.generation;
    this.seq = BigInt(i.seq);
    this.monoNs = i.monoNs;
    this.count = i.count;
    this.load = i.load;
    if (records.length !== this.count * layout.recordSize) {
      throw new NativeError(
        "EPROTO",
        `frame: ${this.count} records of ${layout.recordSize} bytes are expected, not ${records.length} bytes`,
      );
    }
  }

  private get all(): { fields: Header; figures: Record<string, number> } {
    if (this.header === null) {
      const fields = native(() => addon.decodeHeader(this.hdr));
      const figures: Record<string, number> = {};
      for (const [name, value] of Object.entries(fields)) if (typeof value === "number") figures[name] = value;
      this.header = { fields, figures };
    }
    return this.header;
  }

  get realNs(): bigint {
    return this.all.fields.real_ns;
  }
  get term(): bigint {
    return this.all.fields.term;
  }
  /** enum mlb_mode. */
  get mode(): number {
    return this.figures.mode as number;
  }
  /** enum mlb_ladder. */
  get ladder(): number {
    return this.figures.ladder as number;
  }
  get managed(): boolean {
    return this.figures.owner === Owner.MANAGED;
  }
  /** Figures of mlb_frame_hdr by name ("no_server", "applied_seq"), and refusals by reason. */
  get figures(): Readonly<Record<string, number>> {
    return this.all.figures;
  }
  get refused(): Readonly<Record<string, number>> {
    return this.all.fields.refused;
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

  /** Addresses as people write them. */
  addresses(): string[] {
    return native(() => addon.decodeAddresses(this.records));
  }

  /** A field of mlb_server_rec by name, one number a server ("new_flows", "duration.mean"); 64-bit counts and times as doubles. */
  column(field: string): Column {
    let c = this.columns.get(field);
    if (c === undefined) {
      c = native(() => addon.decodeColumn(this.records, field));
      this.columns.set(field, c);
    }
    return c;
  }

  /** 32 buckets a server, one server after the other. */
  histogram(field: "ttfb_hist" | "duration_hist"): Uint32Array {
    return this.column(field) as Uint32Array;
  }
}

/** Throws a NativeError (EPROTO) where the bytes are not a frame of this release. */
export function decodeFrame(frame: { hdr: Uint8Array; records: Uint8Array }): DecodedFrame {
  return new DecodedFrame(frame.hdr, frame.records);
}

/** Jain's index: 1 when all are equal or there is nothing, 1/n when one has everything. */
export function jain(values: Iterable<number>): number {
  return addon.jain(Float64Array.from(values));
}

/** What a policy sees; computed by the core. A state of another schema, or garbled, is an error (EPROTO or EINVAL). */
export function observe(frame: { hdr: Uint8Array; records: Uint8Array }, before: Uint8Array | null): Observed {
  return native(() => addon.observe(frame.hdr, frame.records, before));
}

export const observationShape: ObservationShape = addon.observationShape();

/** The envelope by itself, without publishing. */
export function compose(input: EnvelopeInput): Composed {
  return native(() => addon.compose(input));
}

/**
 * Asks the scheduler to let this thread run soon after it wakes (a short time slice), as the tick's threads need on a busy machine.
 * False where the system does not allow it, which does no harm.
 */
export function promptThread(): boolean {
  return addon.prompt();
}

/** The metadata properties of a model's file, also where `Network` does not handle its graph. Throws EPROTO for what is no ONNX file. */
export function modelMetadata(bytes: Uint8Array): Map<string, string> {
  return new Map(native(() => addon.modelMetadata(bytes)));
}

/** A model of models/, evaluated by the core's own code on the calling thread. Throws ENOTSUP where the graph has an op that is not handled. */
export class Network {
  private readonly network: NativeNetwork;
  readonly inputs: readonly NetworkInput[];
  readonly outputs: readonly string[];

  constructor(bytes: Uint8Array) {
    this.network = native(() => new addon.Network(bytes));
    this.inputs = this.network.inputs();
    this.outputs = this.network.outputs();
  }

  /** Inputs in the order of `inputs`; results are written into `outputs`, whose lengths must fit. */
  run(inputs: readonly { data: Float32Array; shape: readonly number[] }[], outputs: readonly Float32Array[]): void {
    native(() => this.network.run(inputs, outputs));
  }
}
