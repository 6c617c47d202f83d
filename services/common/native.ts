// SPDX-License-Identifier: Apache-2.0
// The native addon (native/addon), typed: the one file that loads it. Names and order are the addon's; an error is a NativeError with
// a code ("EBUSY": another agent is attached, "EPROTO": not a region or a frame of this release, "ENOENT", ...).
import { createRequire } from "node:module";
import path from "node:path";
import { projectRoot } from "./root.js";

export class NativeError extends Error {
  override name = "NativeError";
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** One VIP's frame as it lies in the region. */
export interface RawFrame {
  vipId: number;
  schema: number;
  recordSize: number;
  hdr: Buffer;
  records: Buffer;
  dpEpoch: bigint;
  generation: number;
  seq: number;
  monoNs: bigint;
  realNs: bigint;
}

/** What the envelope takes; arrays in the order of a frame's servers. */
export interface EnvelopeInput {
  /** The policy's weights, any scale. */
  raw: Float32Array;
  /** Configured weights. */
  stat: Float32Array;
  /** The directive's, 0..1; null = all 1. */
  factor: Float32Array | null;
  /** `bare` of the last result; NaN or 0 where there is none, null = none at all. */
  prev: Float32Array | null;
  /** Nonzero where the data plane has put a server out; null = none. */
  ejected: Uint8Array | null;
  /** c: shares stay within e^-c..e^c of the static share. */
  trust: number;
  /** Most that a share may change in 200 ms; 0 = no limit. */
  stepRatio: number;
  /** Seconds since the last composed vector. */
  dt: number;
  /** Most that ejected servers may hold together, 0..1. */
  ejectedCap: number;
}

/** A vector to compose and publish as the answer to `frame`. */
export interface Vector extends EnvelopeInput {
  frame: Pick<RawFrame, "vipId" | "dpEpoch" | "generation" | "seq" | "monoNs">;
  ids: Uint32Array;
  /** Flows; null = none. */
  bias: Float32Array | null;
  /** Flows (or waiting ones) a server in that frame, for the envelope of the bias; null = the bias is not clipped. */
  load: Float32Array | null;
  /** Flows; 0 = 1 / load balancers. */
  kappa: number;
  loadBalancers: number;
  /** This one's number among them, from 1; 0 = not told. */
  loadBalancer: number;
  /** enum mlb_mode; 0 = leave as it is. */
  mode: number;
  /** enum mlb_ladder, enum mlb_vip_state. */
  ladder: number;
  state: number;
  term: bigint;
}

export interface Composed {
  /** Why the envelope refused ("not_finite", "all_zero", ...); null = composed. */
  refused: string | null;
  /** Shares before the factors: the next call's `prev`. */
  bare: Float32Array;
  /** The result, sums to 1. */
  share: Float32Array;
}

export interface Published extends Composed {
  seq: number;
}

export interface Effect {
  vipId: number;
  generation: number;
  agentEpoch: bigint;
  seq: number;
  frameSeq: number;
  /** CLOCK_MONOTONIC at the pointer swap. */
  swapNs: bigint;
  /** When the last worker had passed it; 0 = not yet. */
  allNs: bigint;
  applied: number;
  refused: number;
  lastRefusal: string;
  poolRevision: bigint;
  poolRefused: number;
}

export interface PoolVip {
  vipId: number;
  managed: boolean;
  revision: bigint;
  servers: readonly { address: string; weight: number; drain: boolean }[];
}

interface RegionInfo {
  instance: string;
  dataplane: string;
  dpEpoch: bigint;
  agentEpoch: bigint;
  frameUs: number;
  leaseUs: number;
  workers: number;
}

interface NativeRegion {
  info(): RegionInfo;
  frames(): RawFrame[];
  effects(): Effect[];
  publish(vector: Vector): Published;
  publishPools(pools: readonly PoolVip[]): void;
  beat(): void;
  replaced(): boolean;
  close(): void;
}

export interface Feature {
  name: string;
  /** Bit of `present` that says whether the data plane sees it. */
  block: number;
  /** Trained range; what lies outside is clipped. */
  lo: number;
  hi: number;
}

export interface ObservationShape {
  schema: number;
  stepUs: number;
  server: Feature[];
  pool: Feature[];
}

export interface Observed {
  /** The frame's servers, and their configured weights. */
  ids: Uint32Array;
  weightStatic: Float32Array;
  /** The state after this frame, opaque. */
  state: Buffer;
  /** False: the frame was folded, no native step was made; `server` and `pool` are all 0 then. */
  stepped: boolean;
  /** Blocks of features that this data plane sees. */
  present: number;
  /** [servers * features] and [features]. */
  server: Float32Array;
  pool: Float32Array;
  /** Kalman's weights, mean 1. */
  kalman: Float32Array;
  /** Where in 0..1 this load balancer stands with each server (mlb_obs_stratum). */
  stratum: Float32Array;
  /** The choice counts the other load balancers' flows too. */
  shared: boolean;
  /** Share of features clipped, 0..1. */
  outOfRange: number;
}

/** mlb_frame_hdr by field name. */
type Header = Record<string, unknown> & {
  name: string;
  address: string;
  refused: Record<string, number>;
  dp_epoch: bigint;
  mono_ns: bigint;
  real_ns: bigint;
  term: bigint;
  applied_agent_epoch: bigint;
};

type Column = Uint16Array | Uint32Array | Float32Array | Float64Array;

/** A dimension that is free is -1. */
export interface NetworkInput {
  name: string;
  shape: number[];
}

interface NativeNetwork {
  inputs(): NetworkInput[];
  outputs(): string[];
  run(inputs: readonly { data: Float32Array; shape: readonly number[] }[], outputs: readonly Float32Array[]): void;
}

interface Addon {
  Network: new (bytes: Uint8Array) => NativeNetwork;
  Region: new (path: string, wake: () => void) => NativeRegion;
  decodeHeader(hdr: Uint8Array): Header;
  decodeColumn(records: Uint8Array, field: string): Column;
  decodeAddresses(records: Uint8Array): string[];
  histQuantile(counts: Uint32Array, p: number): number;
  layout(): { frameSchema: number; recordSize: number; headerSize: number; serverFields: string[] };
  observe(hdr: Uint8Array, records: Uint8Array, state: Uint8Array | null): Observed;
  observationShape(): ObservationShape;
  compose(input: EnvelopeInput): Composed;
}

const FILE = path.join(projectRoot, "build/native/bin/marllb.node");

function load(): Addon {
  try {
    return createRequire(import.meta.url)(FILE) as Addon;
  } catch (cause) {
    throw new NativeError(
      "ENOENT",
      `the native addon ${FILE} cannot be loaded (npm run build makes it): ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

const addon = load();

/** The one place where the addon's errors become ours. */
function native<T>(call: () => T): T {
  try {
    return call();
  } catch (e) {
    const { code, message } = e as Error & { code?: unknown };
    if (typeof code !== "string") throw e;
    throw new NativeError(code, message, { cause: e });
  }
}

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

/** One VIP's frame, decoded by field name: figures of the VIP at once, the servers' columns when they are asked for. */
export class DecodedFrame {
  readonly vipId: number;
  readonly name: string;
  /** The VIP's own address, "10.0.0.1:80". */
  readonly address: string;
  readonly dpEpoch: bigint;
  readonly generation: number;
  readonly seq: bigint;
  readonly monoNs: bigint;
  readonly realNs: bigint;
  /** enum mlb_mode, enum mlb_ladder. */
  readonly mode: number;
  readonly ladder: number;
  readonly managed: boolean;
  readonly term: bigint;
  /** Figures of mlb_frame_hdr by name ("no_server", "applied_seq"), and refusals by reason. */
  readonly figures: Readonly<Record<string, number>>;
  readonly refused: Readonly<Record<string, number>>;
  readonly count: number;
  private readonly columns = new Map<string, Column>();

  constructor(
    hdr: Uint8Array,
    private readonly records: Uint8Array,
  ) {
    const h = native(() => addon.decodeHeader(hdr));
    const figures: Record<string, number> = {};
    for (const [name, value] of Object.entries(h)) if (typeof value === "number") figures[name] = value;
    this.figures = figures;
    this.refused = h.refused;
    this.vipId = figures.vip_id as number;
    this.name = h.name;
    this.address = h.address;
    this.dpEpoch = h.dp_epoch;
    this.generation = figures.generation as number;
    this.seq = BigInt(figures.seq as number);
    this.monoNs = h.mono_ns;
    this.realNs = h.real_ns;
    this.mode = figures.mode as number;
    this.ladder = figures.ladder as number;
    this.managed = figures.owner === 1;
    this.term = h.term;
    this.count = figures.count as number;
    if (records.length !== this.count * layout.recordSize) {
      throw new NativeError(
        "EPROTO",
        `frame: ${this.count} records of ${layout.recordSize} bytes are expected, not ${records.length} bytes`,
      );
    }
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

/** Quantile p (0..1) in microseconds of 32 buckets; NaN when empty. */
export function histQuantile(counts: Uint32Array, p: number): number {
  return native(() => addon.histQuantile(counts, p));
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
