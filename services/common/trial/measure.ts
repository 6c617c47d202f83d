// SPDX-License-Identifier: Apache-2.0
// From the counts of all load balancers to one difference a cycle: the log of the candidate's mean over the baseline's. Pure.
import { type Arm, blocksPerCycle, momentAt, type Schedule } from "./schedule.js";

/** Cumulative counts of a VIP at one load balancer. A mean sojourn is flows over time by flows that ended (Little 1961). */
export interface Counts {
  flowUs: number;
  ended: number;
  ttfbUs: number;
  answers: number;
}

export const METRICS = ["duration", "ttfb"] as const;
export type Metric = (typeof METRICS)[number];

export interface Pair {
  cycle: number;
  /** Log of the ratio of the means; null: a block had too little. */
  duration: number | null;
  ttfb: number | null;
}

/** A mean of fewer says nothing. */
const LEAST = 20;

/** Who was heard longer ago was perhaps heard by another replica meanwhile. */
const LONGEST_GAP_MS = 2500;
/** Replicas ask each other once a second. */
const LATE_MS = 3000;
const KEYS = ["flowUs", "ended", "ttfbUs", "answers"] as const;

/** What was counted in the part of a block that counts. */
export interface Block extends Counts {
  block: number;
}

const zero = (): Counts => ({ flowUs: 0, ended: 0, ttfbUs: 0, answers: 0 });

function add(to: Counts, from: Counts, less = zero()): void {
  for (const k of KEYS) to[k] += from[k] - less[k];
}

/** A server list that changed, or a data plane that began anew: what was counted is not what is counted now. */
const fell = (now: Counts, before: Counts): boolean =>
  now.ended < before.ended || now.answers < before.answers || now.flowUs < before.flowUs;

export class Measure {
  readonly #last = new Map<string, { counts: Counts; block: number; at: number }>();
  readonly #own = new Map<number, Block>();
  /** Of other replicas, as they last said. */
  readonly #told = new Map<string, readonly Block[]>();
  /** Of the cycles before it pairs were made. */
  #cycle = 0;

  constructor(private readonly s: Schedule) {}

  /** What one load balancer has counted. */
  hear(of: string, counts: Counts, unixMs: number): void {
    const moment = momentAt(this.s, unixMs);
    if (!moment) return;
    const { block } = moment;
    const before = this.#last.get(of);
    if (moment.counts) this.#last.set(of, { counts, block, at: unixMs });
    else this.#last.delete(of);
    if (before?.block !== block || unixMs - before.at > LONGEST_GAP_MS || fell(counts, before.counts)) return;
    const sum = this.#own.get(block) ?? { block, ...zero() };
    add(sum, counts, before.counts);
    this.#own.set(block, sum);
  }

  /** What load balancers have counted that another replica hears; of the same cycles as `blocks`. */
  told(replica: string, blocks: readonly Block[]): void {
    this.#told.set(replica, blocks);
  }

  /** What was heard here, of cycles that no pair was made of. */
  get blocks(): readonly Block[] {
    return [...this.#own.values()];
  }

  /** The pairs of the cycles that have been over for a block: whoever is late by less is still heard. */
  close(unixMs: number): Pair[] {
    const now = momentAt(this.s, unixMs - Math.max(this.s.blockMs, LATE_MS))?.cycle ?? 0;
    if (now <= this.#cycle) return [];
    const sums = this.#sums();
    const pairs: Pair[] = [];
    const cycles = new Set([...sums.keys()].map((b) => Math.floor(b / blocksPerCycle(this.s.share))));
    for (const cycle of [...cycles].sort((a, b) => a - b)) {
      if (cycle < this.#cycle || cycle >= now) continue;
      const pair = this.#pair(cycle, sums);
      if (pair) pairs.push(pair);
    }
    this.made(now - 1);
    return pairs;
  }

  /** A pair was made of a cycle: it and those before are done with. */
  made(cycle: number): void {
    this.#cycle = Math.max(this.#cycle, cycle + 1);
    const least = this.#cycle * blocksPerCycle(this.s.share);
    for (const block of this.#own.keys()) if (block < least) this.#own.delete(block);
  }

  #sums(): Map<number, Counts> {
    const sums = new Map<number, Counts>();
    for (const b of [this.blocks, ...this.#told.values()].flat()) {
      const sum = sums.get(b.block) ?? zero();
      add(sum, b);
      sums.set(b.block, sum);
    }
    return sums;
  }

  /** null: a block of it was not heard. */
  #pair(cycle: number, sums: ReadonlyMap<number, Counts>): Pair | null {
    const per = blocksPerCycle(this.s.share);
    const blocks = Array.from({ length: per }, (_, i) => cycle * per + i).flatMap((block) => {
      const sum = sums.get(block);
      const arm = momentAt(this.s, this.s.startedAt + block * this.s.blockMs)?.arm;
      return sum && arm ? [{ arm, sum }] : [];
    });
    if (blocks.length < per) return null;
    const log = (sum: keyof Counts, n: keyof Counts): number | null => {
      const mean = (a: Arm): number | null => {
        const logs = blocks.flatMap((b) =>
          b.arm === a ? [b.sum[n] >= LEAST ? Math.log(b.sum[sum] / b.sum[n]) : Number.NaN] : [],
        );
        const m = logs.reduce((x, y) => x + y, 0) / logs.length;
        return Number.isFinite(m) ? m : null;
      };
      const [c, b] = [mean("candidate"), mean("baseline")];
      return c === null || b === null ? null : c - b;
    };
    return { cycle, duration: log("flowUs", "ended"), ttfb: log("ttfbUs", "answers") };
  }
}
