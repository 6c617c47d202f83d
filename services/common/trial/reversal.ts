// SPDX-License-Identifier: Apache-2.0
// Is it the policy? Flows that stay longer show that something is wrong, not what. So the policy is withdrawn and tried again, in blocks
// whose order is drawn at random: only what goes with it and comes back with it is its doing (withdrawal and reintroduction, Barlow and
// Hersen 1984; as dechallenge and rechallenge in Naranjo et al. 1981). Because the order is drawn, each pair of blocks speaks against a
// policy that does nothing with probability 1/2 at most, whatever the traffic does (Fisher 1935; Bojinov, Simchi-Levi and Zhao 2023). Pure.
import { drawn } from "./schedule.js";

/**
 * Of a block; its second half counts. What one of them piled up is there for as long as flows stay, so a block is several times as long as
 * they stayed when the policy was suspected: in shorter ones the reference answers for the policy's queues, and harm clears itself.
 */
const LEAST_BLOCK_MS = 4000;
const BLOCK_STAYS = 3;
const LONGEST_BLOCK_MS = 20_000;
/**
 * So many pairs, all of them, must speak against the policy. One that does not may be a stall of the machine: where it is not the first, it
 * takes six that do, and a mean difference as large as the usual stay. By chance alone that is 1/16 + 3/128 at most.
 */
export const PAIRS = 4;
const PAIRS_BUT_ONE = 6;
export const MOST_PAIRS = PAIRS_BUT_ONE + 1;
/**
 * A pair speaks against it from a quarter of the usual stay on, and a fifth of what the stay had grown by when it was suspected, but from the usual
 * stay in any case. Not from a part of the stay as it is now: where flows pile up in a server that is given too many, each
 * block adds as many, to ever more.
 */
const OF_USUAL = 1 / 4;
const OF_GROWN = 1 / 5;
/** Fewer flows have no mean stay. */
const LEAST = 10;

export type Finding = "runs" | "guilty" | "cleared";

/** Who rules a block, and what was seen of the one before. */
export interface BlockTurn {
  at: number;
  reference: boolean;
  /** Of 1 to MOST_PAIRS; 0: the first block, which no pair is made of. */
  pair: number;
  /** Under whoever ruled before, in ms at the end of its block; null: too few flows. */
  stayBefore: number | null;
}

interface Sum {
  flowUs: number;
  newFlows: number;
}

/** What was counted since `at`. */
export interface Window extends Sum {
  at: number;
}

/** In ms; null: fewer flows than `least`. */
export const stayOf = ({ flowUs, newFlows }: Sum, least = LEAST): number | null =>
  newFlows < least ? null : flowUs / newFlows / 1000;

export class Reversal {
  /** By block. */
  readonly #sums: Sum[] = [];
  /** What each pair said: how much more the stay grew under the policy than under the reference, in ms. */
  readonly differences: number[] = [];
  /** What the pair that cleared the policy said; null: its blocks had too few flows. */
  clearedBy: number | null = null;
  /** How long each of them rules at a time. */
  readonly blockMs: number;
  #told = -1;

  constructor(
    private readonly startedAt: number,
    private readonly seed: number,
    /** What flows' stay was before, in ms. */
    private readonly usualMs: number,
    /** What it was when the policy was suspected. */
    private readonly seenMs: number,
  ) {
    this.blockMs = Math.min(LONGEST_BLOCK_MS, Math.max(LEAST_BLOCK_MS, Math.round(BLOCK_STAYS * seenMs)));
  }

  /** The first block is the reference's, so that harm ends at once; then each has one block of every pair. */
  referenceAt(unixMs: number): boolean {
    return this.#reference(this.#block(unixMs));
  }

  /** A second's counts, which belong where its middle is. */
  hear(second: Window, unixMs: number): Finding {
    const middle = (second.at + unixMs) / 2;
    const block = this.#block(middle);
    if ((middle - this.startedAt) % this.blockMs >= this.blockMs / 2) {
      const of = (this.#sums[block] ??= { flowUs: 0, newFlows: 0 });
      of.flowUs += second.flowUs;
      of.newFlows += second.newFlows;
    }
    while (2 * this.differences.length + 2 < block) {
      const difference = this.#difference(this.differences.length);
      if (difference === null) return "cleared";
      this.differences.push(difference);
      const speak = this.speak;
      const others = this.differences.length - speak;
      const enough = others === 0 ? speak >= PAIRS : speak >= PAIRS_BUT_ONE && this.mean >= this.usualMs;
      if (enough) return "guilty";
      if (others > 1 || speak === 0 || speak + others === MOST_PAIRS) {
        this.clearedBy = difference;
        return "cleared";
      }
    }
    return "runs";
  }

  /** Pairs that speak against the policy. */
  get speak(): number {
    return this.differences.filter((d) => d >= this.matters).length;
  }

  /** Of the differences, in ms. */
  get mean(): number {
    return this.differences.reduce((a, b) => a + b, 0) / this.differences.length;
  }

  /** From so much on, in ms, a pair speaks against the policy. */
  get matters(): number {
    return Math.min(this.usualMs, Math.max(OF_USUAL * this.usualMs, OF_GROWN * (this.seenMs - this.usualMs)));
  }

  /** The pair that is being tried. */
  pairAt(unixMs: number): number {
    return Math.min(MOST_PAIRS, Math.floor((this.#block(unixMs) + 1) / 2));
  }

  /** The turns that have begun since it was asked last: who rules changes with each. */
  turns(unixMs: number): BlockTurn[] {
    const out: BlockTurn[] = [];
    const now = Math.min(2 * MOST_PAIRS, this.#block(unixMs));
    while (this.#told < now) {
      const block = ++this.#told;
      const reference = this.#reference(block);
      if (block > 0 && reference === this.#reference(block - 1)) continue;
      const stayBefore = block > 0 ? this.#stay(block - 1) : null;
      out.push({ at: this.startedAt + block * this.blockMs, reference, pair: Math.floor((block + 1) / 2), stayBefore });
    }
    return out;
  }

  /** Mean stay in the reference's last block that was measured, in ms: those before have what the policy left. null: not known. */
  get underReference(): number | null {
    const last = this.#sums.findLastIndex((s, block) => s !== undefined && this.#reference(block));
    return last < 0 ? null : stayOf(this.#sums[last] as Sum, 1);
  }

  #block(unixMs: number): number {
    return Math.max(0, Math.floor((unixMs - this.startedAt) / this.blockMs));
  }

  #reference(block: number): boolean {
    if (block === 0) return true;
    const pair = Math.floor((block - 1) / 2);
    return (block - 1) % 2 === drawn(this.seed ^ Math.floor(this.startedAt / 1000), pair) % 2;
  }

  /**
   * Change over the policy's block less change over the reference's: a level that is higher under the policy shows in it, and so does a
   * queue that grows under the one and shrinks under the other. What rises or falls by itself at an even pace cancels.
   */
  #difference(pair: number): number | null {
    const [before, first, second] = [0, 1, 2].map((i) => this.#stay(2 * pair + i));
    if (before == null || first == null || second == null) return null;
    const bend = second - 2 * first + before;
    return this.#reference(2 * pair + 1) ? bend : -bend;
  }

  #stay(block: number): number | null {
    return stayOf(this.#sums[block] ?? { flowUs: 0, newFlows: 0 });
  }
}
