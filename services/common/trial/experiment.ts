// SPDX-License-Identifier: Apache-2.0
// A candidate against a baseline on the user's own traffic: what was measured, what it says so far, and when it is over. Pure.
import { type Block, type Counts, METRICS, Measure, type Metric, type Pair } from "./measure.js";
import { type Arm, momentAt, type Schedule } from "./schedule.js";
import { Differences, type Interval } from "./sequential.js";

export interface ExperimentSpec extends Schedule {
  id: string;
  vip: string;
  candidate: string;
  baseline: string;
  /** Unix ms; it ends then, decided or not. */
  deadline: number;
  /** Who started it, and why. */
  by: string;
  reason: string;
}

export const VERDICTS = ["running", "better", "worse", "mixed", "undecided", "stopped", "tripped"] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface Standing {
  verdict: Verdict;
  /** Why, in a sentence. */
  why: string;
  endedAt: number;
  /** Of the candidate's mean over the baseline's, less 1: -0.05 is 5 % quicker. */
  intervals: Record<Metric, Interval>;
}

/** Of all that it says: two means are looked at, and neither may be wrong more often than half of it. */
const ALPHA = 0.05;

const ratio = ({ n, mean, low, high }: Interval): Interval => ({
  n,
  mean: Math.expm1(mean),
  low: Math.expm1(low),
  high: Math.expm1(high),
});

const none = (): Record<Metric, Differences> => ({ duration: new Differences(), ttfb: new Differences() });

const same = (a: Pair, b: Pair): boolean => a.cycle === b.cycle && METRICS.every((m) => Object.is(a[m], b[m]));

/**
 * Every replica of inference has one of its own, and hears the load balancers that it steers. They tell each other what they heard; one of
 * them, the lead, makes the pairs of all of it, and the others take its pairs: there is one test, and they all say one verdict.
 */
export class Experiment {
  /** Makes the pairs; else another replica does. */
  lead = true;
  readonly pairs: Pair[] = [];
  readonly #measure: Measure;
  #differences = none();
  #verdict: Verdict = "running";
  #why = "";
  #endedAt = 0;

  constructor(readonly spec: ExperimentSpec) {
    this.#measure = new Measure(spec);
  }

  get running(): boolean {
    return this.#verdict === "running";
  }

  /** Whose turn it is; null: nobody's, the policy that is ordered rules. */
  armAt(unixMs: number): Arm | null {
    return this.running ? (momentAt(this.spec, unixMs)?.arm ?? null) : null;
  }

  policyOf(arm: Arm): string {
    return arm === "candidate" ? this.spec.candidate : this.spec.baseline;
  }

  /** One load balancer's counts. */
  hear(of: string, counts: Counts, unixMs: number): void {
    if (!this.running) return;
    this.#measure.hear(of, counts, unixMs);
    this.close(unixMs);
  }

  /** Makes the pairs of the cycles that are over, where that is ours: the lead may be one that hears no load balancer itself. */
  close(unixMs: number): void {
    if (this.running && this.lead) for (const pair of this.#measure.close(unixMs)) this.take(pair, unixMs);
    if (this.running && unixMs >= this.spec.deadline) this.end("undecided", "its time is over", unixMs);
  }

  /** What was heard here of cycles that no pair was made of yet. */
  get blocks(): readonly Block[] {
    return this.#measure.blocks;
  }

  /** What another replica says so of what it heard. */
  told(replica: string, blocks: readonly Block[]): void {
    this.#measure.told(replica, blocks);
  }

  /**
   * The lead's pairs, from its pair number `from` on. Ours that are others were made while we did not hear of each other: they go, and the
   * lead's are to be asked for from the first on.
   */
  follow(from: number, pairs: readonly Pair[], unixMs: number): void {
    const other = pairs.some((p, i) => from + i < this.pairs.length && !same(p, this.pairs[from + i] as Pair));
    if (other && this.running) {
      this.pairs.length = 0;
      this.#differences = none();
    }
    if (from > this.pairs.length) return;
    for (const pair of pairs.slice(this.pairs.length - from)) this.take(pair, unixMs);
  }

  /** One difference; what was measured before can be computed again so. */
  take(pair: Pair, unixMs: number): void {
    if (!this.running) return;
    this.pairs.push(pair);
    this.#measure.made(pair.cycle);
    for (const m of METRICS) if (pair[m] !== null) this.#differences[m].add(pair[m]);
    const intervals = this.#intervals();
    const better = METRICS.some((m) => intervals[m].high < 0);
    const worse = METRICS.some((m) => intervals[m].low > 0);
    if (!better && !worse) return;
    const verdict = better && worse ? "mixed" : better ? "better" : "worse";
    this.end(verdict, inWords(intervals), unixMs);
  }

  end(verdict: Exclude<Verdict, "running">, why: string, unixMs: number): void {
    if (!this.running) return;
    this.#verdict = verdict;
    this.#why = why;
    this.#endedAt = unixMs;
  }

  standing(): Standing {
    const intervals = this.#intervals();
    const why = this.running ? inWords(intervals) : this.#why;
    return { verdict: this.#verdict, why, endedAt: this.#endedAt, intervals };
  }

  #intervals(): Record<Metric, Interval> {
    const of = (m: Metric): Interval => ratio(this.#differences[m].interval(ALPHA / METRICS.length));
    return { duration: of("duration"), ttfb: of("ttfb") };
  }
}

const signed = (v: number): string => `${v > 0 ? "+" : ""}${(100 * v).toFixed(1)} %`;

const inWords = (of: Record<Metric, Interval>): string => METRICS.map((m) => `${m} ${effect(of[m])}`).join(", ");

function effect(i: Interval): string {
  if (!Number.isFinite(i.high) || !Number.isFinite(i.low)) return `not known yet (${i.n} pairs)`;
  return `${signed(i.mean)} [${signed(i.low)}, ${signed(i.high)}] of ${i.n} pairs`;
}
