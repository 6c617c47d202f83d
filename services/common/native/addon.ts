// SPDX-License-Identifier: Apache-2.0
// The native addon (native/addon) as it is, typed: the one file that loads it, for its neighbours in this folder and vocabulary.ts only.
// Names and order are the addon's. An error is a NativeError with a code: "EBUSY" (another agent is attached), "EPROTO" (not a region or a
// frame of this release), "ENOENT", ...
import { createRequire } from "node:module";
import path from "node:path";
import { projectRoot } from "../root.js";

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
  /** Names the VIP within the data-plane epoch: an id is given away again, a birth never. */
  birth: bigint;
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
  /** An operator's order: `raw` as it is, 0 is none; trust, stepRatio and ejectedCap do not act. */
  exact: boolean;
}

/** A vector to compose and publish as the answer to `frame`. */
export interface Vector extends EnvelopeInput {
  frame: Pick<RawFrame, "vipId" | "dpEpoch" | "birth" | "generation" | "seq" | "monoNs">;
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
  /** Servers that join the data plane get no new flows until the next vector names them. */
  newcomersWait: boolean;
  /** InFlag.* of each server. */
  flags: Uint8Array;
}

export interface Composed {
  /** Why the envelope refused ("not-finite", "all-zero", ...); null = composed. */
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
  birth: bigint;
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
  birth: bigint;
  managed: boolean;
  revision: bigint;
  servers: readonly { address: string; weight: number; drain: boolean }[];
}

export interface RegionInfo {
  instance: string;
  dataplane: string;
  dpEpoch: bigint;
  agentEpoch: bigint;
  frameUs: number;
  leaseUs: number;
  workers: number;
  dpPid: number;
}

export interface NativeRegion {
  info(): RegionInfo;
  frames(): RawFrame[] | null;
  effects(): Effect[];
  publish(vector: Vector): Published;
  due(): boolean;
  flush(): void;
  publishPools(pools: readonly PoolVip[]): void;
  beat(): void;
  heartbeat(): bigint;
  replaced(): boolean;
  close(): void;
}

export interface CountsOptions {
  instance: string;
  /** The region's path. */
  region: string;
  /** IP:PORT. */
  listen: string;
  periodMs: number;
  /** One or two; the first signs. */
  keys: readonly Uint8Array[];
}

export interface CountsPeer {
  instance: string;
  /** Where its last datagram came from. */
  address: string;
  /** Heard lately: its counts count. */
  alive: boolean;
  periodMs: number;
  /** That it names, and of these, that this load balancer has too. */
  servers: number;
  shared: number;
  /** Datagrams; lost: missing in its sequence. */
  heard: number;
  lost: number;
  repeated: number;
  ageMs: number;
  /** Half of the way there and back, decayed, and its mean deviation; 0 = not known yet. */
  delayMs: number;
  jitterMs: number;
}

export interface CountsFigures {
  /** Datagrams that came, by what became of them. */
  verdicts: Record<string, number>;
  heardBytes: number;
  sent: number;
  sentBytes: number;
  /** Datagrams that the kernel did not take. */
  unsent: number;
  cpuMs: number;
  /** Addresses sent to. */
  members: number;
  /** To a data plane that counts; `why`: the reason while not. */
  attached: boolean;
  why: string;
  peers: CountsPeer[];
}

export interface NativeCounts {
  port(): number;
  members(addresses: readonly string[]): void;
  figures(): CountsFigures;
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

/** How many features an observation schema has: the first ones of the next schema's. */
export interface InputShape {
  schema: number;
  serverFeatures: number;
  poolFeatures: number;
}

export interface ObservationShape {
  schema: number;
  /** Those that models may have been trained with, the observation's own first. */
  schemas: InputShape[];
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
  /** Where in 0..1 this load balancer stands with each server (mlb_obs_strata). */
  stratum: Float32Array;
  /** Seconds, as struct mlb_policy_in says: mean latency of what was answered in the step; NaN: nothing. */
  latency: Float32Array;
  /** Seconds that the step took; 0 without one. */
  dt: number;
  /** The choice counts the other load balancers' flows too. */
  shared: boolean;
  /** Share of features clipped, 0..1. */
  outOfRange: number;
}

/** A VIP that takes any protocol counts as tcp. */
export type Protocol = "tcp" | "udp";

/** What a frame is about: little, for it is read of every frame. */
export interface Identity {
  vipId: number;
  name: string;
  address: string;
  protocol: Protocol;
  dpEpoch: bigint;
  birth: bigint;
  generation: number;
  seq: number;
  monoNs: bigint;
  count: number;
  term: bigint;
  ladder: number;
  load: number;
}

/** mlb_frame_hdr by field name. */
export type Header = Record<string, unknown> & {
  refused: Record<string, number>;
  real_ns: bigint;
  term: bigint;
};

export type Column = Uint16Array | Uint32Array | Float32Array | Float64Array;

/** A dimension that is free is -1. */
export interface NetworkInput {
  name: string;
  shape: number[];
}

export interface NativeNetwork {
  inputs(): NetworkInput[];
  outputs(): string[];
  run(inputs: readonly { data: Float32Array; shape: readonly number[] }[], outputs: readonly Float32Array[]): void;
}

/** A field of a frame as its row in native/core/include/marllb/fields.h says. */
export interface Field {
  name: string;
  role: "id" | "clock" | "state" | "gauge" | "counter" | "integral" | "time" | "summary" | "histogram" | "pad";
  /** "flows", "us", "" for none. */
  unit: string;
  /** Exported as marllb_server_METRIC or marllb_vip_METRIC; "" = not. */
  metric: string;
  help: string;
}

export interface Layout {
  frameSchema: number;
  recordSize: number;
  headerSize: number;
  frameFields: Field[];
  serverFields: Field[];
  /** Lower edges of the histograms' buckets; the last has no upper one. */
  histogramEdgesUs: number[];
}

/** A row of the core's vocabulary: "LAST_GOOD", 2, "last-good". */
export interface Word {
  name: string;
  value: number;
  word: string;
}

export interface NativePolicy {
  name: string;
  help: string;
  /** Floats of memory a server. A policy with memory decides at native steps only. */
  stateSize: number;
}

export interface NativeConnector {
  /** `keep`: the descriptor is the caller's; else the connection is reset as soon as it is open. `localPort` 0 = any. */
  connect(id: number, address: string, port: number, keep: boolean, localPort: number): void;
  /** Its result comes all the same. */
  cancel(id: number): void;
}

export interface PolicyStep {
  weights: Float32Array;
  /** Flows; 0 = 1 / load balancers. */
  kappa: number;
  state: Float32Array;
}

export interface Addon {
  policies(): NativePolicy[];
  policyStep(
    name: string,
    observation: { dt: number; weightStatic: Float32Array; kalman: Float32Array; latency: Float32Array },
    state: Float32Array,
  ): PolicyStep;
  vocabulary(): Record<string, Word[]>;
  Network: new (bytes: Uint8Array) => NativeNetwork;
  modelMetadata(bytes: Uint8Array): [key: string, value: string][];
  Region: new (path: string, wake: () => void) => NativeRegion;
  Counts: new (options: CountsOptions) => NativeCounts;
  decodeIdentity(hdr: Uint8Array): Identity;
  decodeHeader(hdr: Uint8Array): Header;
  decodeColumn(records: Uint8Array, field: string): Column;
  decodeAddresses(records: Uint8Array): string[];
  /** Jain's index: 1 when all are equal, 1/n when one has everything. */
  jain(values: Float64Array): number;
  layout(): Layout;
  observe(hdr: Uint8Array, records: Uint8Array, state: Uint8Array | null): Observed;
  stripRecords(records: Uint8Array): Buffer;
  observationShape(): ObservationShape;
  compose(input: EnvelopeInput): Composed;
  prompt(): boolean;
  pingSocket(ipv6: boolean): number;
  /** 0, or a negative errno. */
  lockFile(fd: number): number;
  /** What CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, whole microseconds. */
  wallOffsetUs(): number;
  /** False: the datagram could not be sent. */
  notify(path: string, text: string): boolean;
  /** `done` gets four numbers a connect: id, errno (0 connected, -1 met itself), descriptor or -1, microseconds. */
  Connector: new (
    done: (results: Float64Array) => void,
  ) => NativeConnector;
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

export const addon: Addon = load();

/** The one place where the addon's errors become ours. */
export function native<T>(call: () => T): T {
  try {
    return call();
  } catch (e) {
    const { code, message } = e as Error & { code?: unknown };
    if (typeof code !== "string") throw e;
    throw new NativeError(code, message, { cause: e });
  }
}
