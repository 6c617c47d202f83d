// SPDX-License-Identifier: Apache-2.0
// Keeps a learned policy from doing harm for long. The reference (Kalman) rules a small part of the time, so that the two can be
// compared for ever; a policy that is worse beyond doubt steps down for ten minutes, then for twice as long, until it has kept well for a
// day. Where flows suddenly stay far longer though no more come, the reference rules at once, and by turns with the policy until it is
// known whether the policy is the cause (reversal.ts). Pure.
import { type Counts, Measure } from "./measure.js";
import { type BlockTurn, MOST_PAIRS, Reversal, stayOf, type Window } from "./reversal.js";
import { momentAt, type Schedule } from "./schedule.js";
import { Differences, type Interval } from "./sequential.js";

export interface GuardrailOptions {
  /** Of the time, to the reference; 0: never. */
  share: number;
  blockMs: number;
  seed: number;
  /** Before so much is known there is no level to compare with. */
  learnS: number;
}

/**
 * suspected: something is wrong, and it may be the policy; withdrawn, reintroduced: who rules while that is found out; cleared: it is not the
 * policy; down: it is, and the reference rules; again: the policy is tried again.
 */
export const STEPS = ["suspected", "withdrawn", "reintroduced", "cleared", "down", "again"] as const;
export type StepKind = (typeof STEPS)[number];

export interface Step {
  at: number;
  kind: StepKind;
  /** What it was done for. */
  evidence: string;
}

/** learning: too little is known of this traffic to see what is unusual. */
export const STATES = ["learning", "watching", "suspected", "down"] as const;
export type GuardrailState = (typeof STATES)[number];

/** How it stands now, with the figures that it looks at. Stays in ms; null: not known. */
export interface GuardrailNow {
  state: GuardrailState;
  /** What was seen last that led here; empty while it watches or learns. */
  evidence: string;
  /** Mean stay in the last second, in the ten minutes before, and from where on it is suspected. */
  stayMs: number | null;
  usualMs: number | null;
  limitMs: number | null;
  /** The pair of blocks that is being tried, of so many; 0: none. */
  trial: number;
  trials: number;
  /** The policy is down until then; 0: it is not. */
  untilMs: number;
  /** The standing comparison: log of the policy's mean stay over the reference's. */
  difference: Interval;
}

/** The lower bound of how much worse, from which on it is beyond doubt that it matters. */
const WORSE = Math.log(1.03);
const ALPHA = 0.05;
const SECOND_MS = 1000;
const LEVEL_S = 600;
const TRIP_RATIO = 1.5;
const TRIP_S = 3;
/**
 * Where flows' stays vary much by themselves, 1.5 times is reached every few minutes: there it takes six standard deviations of the level's
 * logarithms, or twice the longest stay that lasted for three seconds in these ten minutes.
 */
const TRIP_DEVIATIONS = 6;
const TRIP_LONGEST = 2;
/** Arrivals that differ by less, over ten seconds, are equal: near its capacity a pool piles flows up when a sixth more come. */
const EQUAL = 1.1;
const EQUAL_S = 10;
/**
 * For so long after it was cleared once, twice, and again a policy is not suspected of what was there then; what is 1.5 times as bad is
 * something new. A stall of the machine may clear a policy that does harm, so what it was cleared of becomes usual only with the third time.
 */
const CLEARED_MS = [120_000, 240_000, 600_000] as const;
/** Cleared so long ago, it is the first time again. */
const CLEARED_ANEW_MS = 600_000;
const FIRST_MS = 600_000;
const LONGEST_MS = 86_400_000;

interface Second {
  /** Milliseconds that a flow stays, by flows in progress over flows that came: at once higher where they pile up. */
  sojourn: number;
  arrivals: number;
}

export interface GuardCounts extends Counts {
  newFlows: number;
}

/** Of a policy that stepped down. */
export interface GuardrailMemory {
  downUntil: number;
  /** How long the next step down lasts. */
  nextMs: number;
  evidence: string;
}

interface Suspicion {
  evidence: string;
  reversal: Reversal;
}

/** Steps that are kept to be asked for. */
const KEPT_STEPS = 100;

const ms = (v: number | null): string => (v === null ? "too few flows for a mean stay" : `a stay of ${v.toFixed(0)} ms`);

export class Guardrail {
  readonly steps: Step[] = [];
  #schedule: Schedule | null = null;
  #measure: Measure | null = null;
  #differences = new Differences();
  /** With the logarithm of the stay, and the least of it and the two before: what lasted for three seconds. */
  readonly #seconds: (Second & { log: number; lasted: number })[] = [];
  readonly #windows = new Map<string, Window>();
  #open: Window | null = null;
  /** Of the last seconds. */
  #arrivals: number[] = [];
  #over = 0;
  /** Suspected: what was seen, and what is being found out. */
  #suspicion: Suspicion | null = null;
  #seen: Pick<GuardrailNow, "stayMs" | "usualMs" | "limitMs"> = { stayMs: null, usualMs: null, limitMs: null };
  #cleared = { until: 0, high: 0, times: 0 };
  #downUntil = 0;
  #forMs = FIRST_MS;
  #upSince = 0;

  constructor(private readonly o: GuardrailOptions) {}

  /** The reference rules: the policy has stepped down, or it is the reference's turn. */
  referenceAt(unixMs: number): boolean {
    if (this.#suspicion) return this.#suspicion.reversal.referenceAt(unixMs);
    return this.down(unixMs) || (this.#schedule !== null && momentAt(this.#schedule, unixMs)?.arm === "candidate");
  }

  down(unixMs: number): boolean {
    return unixMs < this.#downUntil;
  }

  /** It is being found out whether the policy is the cause: it and the reference take turns. */
  get suspects(): boolean {
    return this.#suspicion !== null;
  }

  now(unixMs: number): GuardrailNow {
    const down = this.down(unixMs);
    const state = down ? "down" : this.#suspicion ? "suspected" : this.#seconds.length < this.o.learnS ? "learning" : "watching";
    return {
      state,
      evidence: down ? (this.steps.findLast((s) => s.kind === "down")?.evidence ?? "") : (this.#suspicion?.evidence ?? ""),
      ...this.#seen,
      trial: this.#suspicion?.reversal.pairAt(unixMs) ?? 0,
      trials: MOST_PAIRS,
      untilMs: down ? this.#downUntil : 0,
      difference: this.#differences.interval(ALPHA),
    };
  }

  /** One load balancer's counts; answers the steps that they gave reason to. `rules`: what is watched decides, but for the reference's turns. */
  hear(of: string, counts: GuardCounts, unixMs: number, rules = true): Step[] {
    if (this.#downUntil > 0 && unixMs >= this.#downUntil)
      return this.#again(unixMs, "the time is over: the policy is tried again");
    if (this.down(unixMs)) return [];
    this.#begin(unixMs);
    this.#count(of, counts, unixMs);
    const second = this.#second(unixMs);
    if (this.#suspicion) return second ? this.#try(this.#suspicion, second, unixMs) : [];
    const slow = this.#compare(of, counts, unixMs);
    if (slow.length > 0 || !second) return slow;
    return this.#suspect(second, unixMs, rules && !this.referenceAt(unixMs));
  }

  /** The standing comparison begins once there is a level: before, nothing is known of this traffic. */
  #begin(unixMs: number): void {
    if (this.#upSince === 0) this.#upSince = unixMs;
    if (unixMs - this.#upSince >= LONGEST_MS) this.#forMs = FIRST_MS;
    if (this.#schedule || this.o.share <= 0 || this.#seconds.length < LEVEL_S) return;
    const { seed, blockMs, share } = this.o;
    // Blocks lie where every load balancer and replica has them.
    this.#schedule = { seed, blockMs, share, startedAt: Math.ceil(unixMs / (50 * blockMs)) * 50 * blockMs };
    this.#measure = new Measure(this.#schedule);
  }

  #compare(of: string, counts: Counts, unixMs: number): Step[] {
    this.#measure?.hear(of, counts, unixMs);
    for (const pair of this.#measure?.close(unixMs) ?? []) {
      // The schedule's candidate is the reference: turned round, the difference is the policy's.
      if (pair.duration !== null) this.#differences.add(-pair.duration);
    }
    const { low, high, mean, n } = this.#differences.interval(ALPHA);
    if (low <= WORSE) return [];
    const as = (v: number): string => `+${(100 * Math.expm1(v)).toFixed(1)} %`;
    return this.#stepDown(
      unixMs,
      `flows stay ${as(mean)} longer than under the reference, [${as(low)}, ${as(high)}] of ${n} cycles`,
    );
  }

  /** Flows of all load balancers, second by second. */
  #count(of: string, { flowUs, newFlows }: GuardCounts, unixMs: number): void {
    const before = this.#windows.get(of);
    this.#windows.set(of, { at: unixMs, flowUs, newFlows });
    this.#open ??= { at: unixMs, flowUs: 0, newFlows: 0 };
    if (before && flowUs >= before.flowUs && newFlows >= before.newFlows) {
      this.#open.flowUs += flowUs - before.flowUs;
      this.#open.newFlows += newFlows - before.newFlows;
    }
  }

  /** What all of them counted in the second that is over; null: none is. */
  #second(unixMs: number): Window | null {
    const open = this.#open;
    if (!open || unixMs - open.at < SECOND_MS) return null;
    this.#open = { at: unixMs, flowUs: 0, newFlows: 0 };
    return open;
  }

  #suspect(second: Window, unixMs: number, rules: boolean): Step[] {
    const sojourn = stayOf(second);
    if (sojourn === null) {
      this.#over = 0;
      return [];
    }
    const seconds = (unixMs - second.at) / 1000;
    const now: Second = { sojourn, arrivals: second.newFlows / seconds };
    const level = this.#level();
    const cleared = unixMs < this.#cleared.until;
    const limit = level === null ? null : cleared ? Math.max(level.high, this.#cleared.high) : level.high;
    this.#seen = { stayMs: sojourn, usualMs: level?.sojourn ?? null, limitMs: limit };
    const high = limit !== null && sojourn > limit;
    this.#arrivals.push(now.arrivals);
    if (this.#arrivals.length > EQUAL_S) this.#arrivals.shift();
    const come = this.#arrivals.reduce((a, b) => a + b, 0) / this.#arrivals.length;
    const equal = level !== null && come < EQUAL * level.arrivals && come > level.arrivals / EQUAL;
    this.#over = high && equal && rules ? this.#over + 1 : 0;
    // What it was cleared of once or twice is no part of the level yet.
    const unsure = this.#cleared.times > 0 && this.#cleared.times < CLEARED_MS.length && level !== null && sojourn > level.high;
    if (!high && !unsure) this.#remember(now);
    if (this.#over < TRIP_S || level === null) return [];
    const evidence = `for ${TRIP_S} s flows stay ${now.sojourn.toFixed(0)} ms at ${now.arrivals.toFixed(0)} new ones a second; ${level.sojourn.toFixed(0)} ms at ${level.arrivals.toFixed(0)} in the ten minutes before`;
    this.#suspicion = { evidence, reversal: new Reversal(unixMs, this.o.seed, level.sojourn, now.sojourn) };
    return [...this.#step(unixMs, "suspected", evidence), ...this.#turns(this.#suspicion, unixMs)];
  }

  /** Ends the suspicion when it is known. */
  #try(suspicion: Suspicion, second: Window, unixMs: number): Step[] {
    const { evidence, reversal } = suspicion;
    const stayMs = stayOf(second);
    if (stayMs !== null) this.#seen = { ...this.#seen, stayMs };
    const finding = reversal.hear(second, unixMs);
    if (finding === "runs") return this.#turns(suspicion, unixMs);
    this.#suspicion = null;
    this.#over = 0;
    if (finding === "cleared") return this.#clear(suspicion, unixMs);
    const { mean, speak, differences, blockMs } = reversal;
    return this.#stepDown(
      unixMs,
      `${evidence}; in ${speak} of ${differences.length} trials of ${((2 * blockMs) / 1000).toFixed(0)} s it went with the policy and came back with it, ${mean.toFixed(0)} ms of stay`,
    );
  }

  #clear({ reversal }: Suspicion, unixMs: number): Step[] {
    this.#forgive(reversal, unixMs, 1);
    const { clearedBy, matters, differences } = reversal;
    const trial = `in trial ${clearedBy === null ? differences.length + 1 : differences.length}`;
    const why =
      clearedBy === null
        ? `too few flows ${trial} to tell`
        : `${trial} the stay grew ${clearedBy.toFixed(0)} ms more under the policy than under the reference, and ${matters.toFixed(0)} ms would matter`;
    return this.#step(unixMs, "cleared", `it is not shown to be the policy: ${why}`);
  }

  /** `times`: as often it counts; who knows better makes it usual at once. */
  #forgive({ underReference }: Reversal, unixMs: number, times: number): void {
    const before = unixMs < this.#cleared.until + CLEARED_ANEW_MS ? this.#cleared.times : 0;
    const now = Math.min(CLEARED_MS.length, before + times);
    const until = unixMs + (CLEARED_MS[now - 1] as number);
    this.#cleared = { until, high: TRIP_RATIO * (underReference ?? 0), times: now };
  }

  /** Who rules now while it is found out, where that has changed. */
  #turns({ reversal }: Suspicion, unixMs: number): Step[] {
    return reversal.turns(unixMs).flatMap(({ at, reference, pair, stayBefore }: BlockTurn) => {
      const who = reference ? "the reference rules" : "the policy rules";
      const before = pair === 0 ? "" : `; ${ms(stayBefore)} under the ${reference ? "policy" : "reference"} before`;
      const which = pair === 0 ? "to see whether it goes with the policy" : `trial ${pair}`;
      return this.#step(at, reference ? "withdrawn" : "reintroduced", `${who}, ${which}${before}`);
    });
  }

  #remember({ sojourn, arrivals }: Second): void {
    const [b, a] = [this.#seconds.at(-1), this.#seconds.at(-2)];
    const lasted = a && b ? Math.min(a.sojourn, b.sojourn, sojourn) : 0;
    this.#seconds.push({ sojourn, arrivals, log: Math.log(Math.max(1e-3, sojourn)), lasted });
    if (this.#seconds.length > LEVEL_S) this.#seconds.shift();
  }

  /** What is usual, and from where on a stay is beyond it. */
  #level(): (Second & { high: number }) | null {
    const n = this.#seconds.length;
    if (n < this.o.learnS) return null;
    const sum = { sojourn: 0, arrivals: 0, log: 0, square: 0 };
    let longest = 0;
    for (const s of this.#seconds) {
      sum.sojourn += s.sojourn;
      sum.arrivals += s.arrivals;
      sum.log += s.log;
      sum.square += s.log * s.log;
      longest = Math.max(longest, s.lasted);
    }
    const mean = sum.log / n;
    const deviation = Math.sqrt(Math.max(0, sum.square / n - mean * mean));
    const sojourn = sum.sojourn / n;
    const unusual = Math.min(Math.exp(mean + TRIP_DEVIATIONS * deviation), TRIP_LONGEST * longest);
    return { sojourn, arrivals: sum.arrivals / n, high: Math.max(TRIP_RATIO * sojourn, unusual) };
  }

  #stepDown(unixMs: number, evidence: string): Step[] {
    this.#downUntil = unixMs + this.#forMs;
    const minutes = Math.round(this.#forMs / 60_000);
    this.#forMs = Math.min(LONGEST_MS, 2 * this.#forMs);
    return this.#step(unixMs, "down", `${evidence}; the reference rules for ${minutes} minutes`);
  }

  /** For whoever watches next; null: the policy has not stepped down. */
  memory(unixMs: number): GuardrailMemory | null {
    if (!this.down(unixMs)) return null;
    const { evidence } = this.now(unixMs);
    return { downUntil: this.#downUntil, nextMs: this.#forMs, evidence };
  }

  /** What somebody who watched before remembers: the policy is down until then here, too. */
  recall({ downUntil, nextMs, evidence }: GuardrailMemory, unixMs: number): Step[] {
    if (this.down(unixMs) || downUntil <= unixMs) return [];
    this.#suspicion = null;
    this.#downUntil = Math.min(downUntil, unixMs + LONGEST_MS);
    this.#forMs = Math.min(LONGEST_MS, Math.max(FIRST_MS, nextMs));
    return this.#step(unixMs, "down", evidence);
  }

  /** Another policy was ordered: what was suspected of the one before says nothing of it. */
  acquit(unixMs: number, why: string): Step[] {
    const suspected = this.suspects;
    this.#suspicion = null;
    this.#over = 0;
    return suspected ? this.#step(unixMs, "cleared", why) : [];
  }

  /** Somebody knows better: the policy is tried again before its time, or is no longer suspected. None: it is neither down nor suspected. */
  resume(unixMs: number, why: string): Step[] {
    if (this.down(unixMs)) return this.#again(unixMs, why);
    if (this.#suspicion) this.#forgive(this.#suspicion.reversal, unixMs, CLEARED_MS.length);
    return this.acquit(unixMs, why);
  }

  #again(unixMs: number, why: string): Step[] {
    this.#downUntil = 0;
    this.#upSince = unixMs;
    this.#over = 0;
    this.#suspicion = null;
    this.#open = null;
    this.#windows.clear();
    this.#differences = new Differences();
    this.#schedule = null;
    this.#measure = null;
    return this.#step(unixMs, "again", why);
  }

  #step(at: number, kind: StepKind, evidence: string): Step[] {
    const step = { at, kind, evidence };
    this.steps.push(step);
    if (this.steps.length > KEPT_STEPS) this.steps.shift();
    return [step];
  }
}
