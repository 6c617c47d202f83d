// SPDX-License-Identifier: Apache-2.0
// A region port in memory: normalises instead of the envelope, refuses what is not finite, keeps what was published.

import { type FakeServer, fakeFrame } from "../../../testbed/fake-frame.js";
import type { FrameView } from "../../common/native/frame.js";
import type { Composed, EnvelopeInput } from "../../common/native/region.js";
import type { Effect, PoolVip, Published, RawFrame, RegionPort, Vector } from "../region.js";

export class FakeRegion implements RegionPort {
  readonly instance = "fake";
  readonly dataplane = "fake 1";
  readonly dpEpoch = 1n;
  readonly agentEpoch = 1n;
  readonly frameUs = 100_000;
  readonly leaseUs = 1_000_000;
  readonly workers = 1;
  readonly dpPid = process.pid;
  readonly published: Vector[] = [];
  readonly composed: EnvelopeInput[] = [];
  readonly pools: PoolVip[][] = [];
  beats = 0;
  closed = false;
  gone = false;
  pendingEffects: Effect[] = [];

  /** Each array is a message, whole. */
  messages: RawFrame[][] = [];
  beating = true;
  #beat = 0n;

  frames(): RawFrame[] | null {
    return this.messages.shift() ?? null;
  }
  /** Has always moved since the last look. */
  heartbeat(): bigint {
    if (this.beating) this.#beat++;
    return this.#beat;
  }
  effects(): Effect[] {
    return this.pendingEffects.splice(0);
  }
  compose(v: EnvelopeInput): Composed {
    this.composed.push(v);
    return { refused: null, bare: v.raw, share: v.raw };
  }
  publish(v: Vector): Published {
    const n = v.raw.length;
    const none = new Float32Array(n);
    if (!v.raw.every(Number.isFinite)) return { refused: "not-finite", seq: 0, bare: none, share: none };
    const sum = v.raw.reduce((a, b) => a + b, 0);
    if (sum <= 0) return { refused: "all-zero", seq: 0, bare: none, share: none };
    this.published.push(v);
    const bare = v.raw.map((w) => w / sum);
    const masked = bare.map((w, i) => w * (v.factor?.[i] ?? 1));
    const left = masked.reduce((a, b) => a + b, 0);
    return { refused: null, seq: this.published.length, bare, share: masked.map((w) => w / left) };
  }
  publishPools(pools: readonly PoolVip[]): void {
    this.pools.push([...pools]);
  }
  beat(): void {
    this.beats++;
  }
  replaced(): boolean {
    return this.gone;
  }
  close(): void {
    this.closed = true;
  }
}

const lists = new WeakMap<Buffer, { servers: FakeServer[]; view: Partial<FrameView> }>();

/** A raw frame whose servers `decodeFake` finds again. */
export function rawFrame(
  seq: number,
  servers: FakeServer[],
  over: Partial<RawFrame> = {},
  view: Partial<FrameView> = {},
): RawFrame {
  const records = Buffer.alloc(servers.length);
  lists.set(records, { servers, view });
  return {
    vipId: 1,
    schema: 2,
    recordSize: 552,
    hdr: Buffer.alloc(1),
    records,
    dpEpoch: 1n,
    birth: 1n,
    generation: 1,
    seq,
    monoNs: BigInt(seq) * 100_000_000n,
    realNs: BigInt(seq) * 100_000_000n,
    ...over,
  };
}

export function decodeFake(f: RawFrame) {
  const { servers, view } = lists.get(f.records) ?? { servers: [], view: {} };
  return fakeFrame(servers, {
    vipId: f.vipId,
    generation: f.generation,
    dpEpoch: f.dpEpoch,
    birth: f.birth,
    monoNs: f.monoNs,
    ...view,
  });
}

export const SETTINGS = { policy: "kalman", trust: 1.5, kappa: 0, stepRatio: 2, ejectedCap: 0.05, loadBalancers: 1 };
