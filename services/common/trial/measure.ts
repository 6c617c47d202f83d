// SPDX-License-Identifier: Apache-2.0
// From the counts of all load balancers to one difference a cycle: the log of the candidate's mean over the baseline's. Pure.
import { blocksPerCycle, type Moment, momentAt, type Schedule } from "./schedule.js";

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

const zero = (): Counts => ({ flowUs: 0, ended: 0, ttfbUs: 0, answers: 0 });

function add(to: Counts, from: Counts, less: Counts): void {
  for (const k of ["flowUs", "ended", "ttfbUs", "answers"] as const) to[k] += from[k] - less[k];
}

/** A server list that changed, or a data plane that began anew: what was counted is not what is counted now. */
const fell = (now: Counts, before: Counts): boolean =>
  now.ended < before.ended || now.answers < before.answers || now.flowUs < before.flowUs;

export class Measure {
  readonly #last = new Map<string, { counts: Counts; moment: Moment }>();
  #blocks = new Map<number, { moment: Moment; sum: Counts }>();
  #cycle: number;

  constructor(
    private readonly s: Schedule,
    from = s.startedAt,
  ) {
    this.#cycle = momentAt(s, from)?.cycle ?? 0;
  }

  /** What one load balancer has counted; answers the pairs that became whole. */
  hear(of: string, counts: Counts, unixMs: number): Pair[] {
    const moment = momentAt(this.s, unixMs);
    if (!moment) return [];
    const before = this.#last.get(of);
    this.#last.set(of, { counts, moment });
    if (before && before.moment.block === moment.block && before.moment.counts && !fell(counts, before.counts)) {
      const b = this.#blocks.get(moment.block) ?? { moment, sum: zero() };
      add(b.sum, counts, before.counts);
      this.#blocks.set(moment.block, b);
    }
    return this.#close(moment.cycle);
  }

  /** Cycles that are over by more than one block: whoever is late by less is still heard. */
  #close(now: number): Pair[] {
    const out: Pair[] = [];
    for (; this.#cycle < now; this.#cycle++) {
      const blocks = [...this.#blocks.values()].filter((b) => b.moment.cycle === this.#cycle);
      if (blocks.length === blocksPerCycle(this.s.share)) out.push(this.#pair(this.#cycle, blocks));
      for (const b of blocks) this.#blocks.delete(b.moment.block);
    }
    return out;
  }

  #pair(cycle: number, blocks: readonly { moment: Moment; sum: Counts }[]): Pair {
    const log = (sum: keyof Counts, n: keyof Counts): number | null => {
      const arm = (a: Moment["arm"]): number | null => {
        const logs = blocks.flatMap((b) =>
          b.moment.arm === a ? [b.sum[n] >= LEAST ? Math.log(b.sum[sum] / b.sum[n]) : Number.NaN] : [],
        );
        const mean = logs.reduce((x, y) => x + y, 0) / logs.length;
        return Number.isFinite(mean) ? mean : null;
      };
      const [c, b] = [arm("candidate"), arm("baseline")];
      return c === null || b === null ? null : c - b;
    };
    return { cycle, duration: log("flowUs", "ended"), ttfb: log("ttfbUs", "answers") };
  }
}
