// SPDX-License-Identifier: Apache-2.0
// Which arm rules at which moment. Time is cut into blocks, blocks into cycles; in each cycle a block drawn at random has the rarer
// arm. Every load balancer and replica draws the same one: from the seed and the time, so that a pool changes over as one. Pure.

export type Arm = "candidate" | "baseline";

export interface Schedule {
  seed: number;
  /** Unix ms. */
  startedAt: number;
  blockMs: number;
  /** Share of time of the candidate, 0.01 to 0.99. */
  share: number;
}

export interface Moment {
  arm: Arm;
  block: number;
  cycle: number;
  /** What the change-over left behind is over: this moment counts. */
  counts: boolean;
}

/** The first part of a block belongs to the flows that the arm before placed. */
const DROPPED = 1 / 3;

export const blocksPerCycle = (share: number): number => Math.max(2, Math.round(1 / Math.min(share, 1 - share)));

/** A number from two: murmur3's finish (Appleby, public domain). */
export function drawn(seed: number, k: number): number {
  let h = (seed ^ Math.imul(k + 1, 0x9e3779b1)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
}

/** null: it has not begun. */
export function momentAt(s: Schedule, unixMs: number): Moment | null {
  const since = unixMs - s.startedAt;
  if (since < 0) return null;
  const block = Math.floor(since / s.blockMs);
  const per = blocksPerCycle(s.share);
  const cycle = Math.floor(block / per);
  const rare: Arm = s.share <= 0.5 ? "candidate" : "baseline";
  const other: Arm = rare === "candidate" ? "baseline" : "candidate";
  const arm = block % per === drawn(s.seed, cycle) % per ? rare : other;
  return { arm, block, cycle, counts: since - block * s.blockMs >= DROPPED * s.blockMs };
}
