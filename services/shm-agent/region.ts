// SPDX-License-Identifier: Apache-2.0
// What the agent needs of a data plane's region. Tests give one of their own.
import type { Region } from "../common/native/region.js";

export type { RawFrame } from "../common/native/frame.js";
export type { Effect, PoolVip, Published, Vector } from "../common/native/region.js";

export type RegionPort = Pick<Region, keyof Region>;

/** Attaches; `wake` is called when the data plane published frames or effects. Throws an Error whose message says why not. */
export type AttachRegion = (path: string, wake: () => void) => RegionPort;
