// SPDX-License-Identifier: Apache-2.0
// What the agent needs of a data plane's region. native.ts gives it; tests give one of their own.
import type { Composed, Effect, EnvelopeInput, PoolVip, Published, RawFrame, Vector } from "../common/native.js";

export type { Effect, PoolVip, Published, RawFrame, Vector } from "../common/native.js";

export interface RegionPort {
  readonly dataplane: string;
  readonly dpEpoch: bigint;
  readonly agentEpoch: bigint;
  readonly frameUs: number;
  /** Each VIP's newest frame, if newer than the last call's. */
  frames(): RawFrame[];
  effects(): Effect[];
  publish(vector: Vector): Published;
  /** The envelope without publishing. */
  compose(input: EnvelopeInput): Composed;
  publishPools(pools: readonly PoolVip[]): void;
  /** Advances the agent's heartbeat. */
  beat(): void;
  /** True where the path names another region by now. */
  replaced(): boolean;
  close(): void;
}

/** Attaches; `wake` is called when the data plane published frames or effects. Throws an Error whose message says why not. */
export type AttachRegion = (path: string, wake: () => void) => RegionPort;
