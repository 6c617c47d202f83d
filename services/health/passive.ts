// SPDX-License-Identifier: Apache-2.0
// What real flows say of one server: pure functions of the counts that frames show and of time.
//
// Two kinds of evidence. Connects that fail are the server's doing (or its host's): so many in a row, without a flow that went well between
// them, put it out. Flows that end badly after the connect (reset, or ended without a byte) may be a client's doing: they count as a share
// of the server's flows over a window, and only where its peers' share is so much lower that chance does not explain it.
import { type Fading, faded, NEVER, oneMore } from "./verdict.js";

/** Growth of a server's counts between two frames. */
export interface FlowEvidence {
  unanswered: number;
  refusals: number;
  /** Reset, or ended without a byte. */
  badEnds: number;
  /** Flows and answers that went well. */
  successes: number;
}

/** What flows met of late: counts that fade, so that old ones weigh nothing. */
export interface FlowRate {
  badEnds: number;
  successes: number;
  /** Of the newest evidence. */
  at: number;
}

export interface Passive {
  rate: FlowRate;
  /** Connects that failed in a row. */
  failures: number;
  /** Put out by flows until then, and why. */
  until: number;
  reason: string;
  /** How often it was put out: the hold grows with it. */
  ejections: Fading;
}

export const NO_FLOWS: FlowRate = { badEnds: 0, successes: 0, at: 0 };
export const PASSIVE_START: Passive = { rate: NO_FLOWS, failures: 0, until: 0, reason: "", ejections: NEVER };

const WINDOW_MS = 10_000;
const EJECTION_HALF_LIFE_MS = 180_000;
const LONGEST_HOLD = 16;
/** A server whose peers would meet as many bad ends by chance once in so many looks is like them. */
const UNLIKELY = 1e-6;
const MOST_FLOWS = 1000;

/** The rate after newer evidence, or after time alone. */
export function rateAfter(r: FlowRate, e: Pick<FlowEvidence, "badEnds" | "successes">, now: number): FlowRate {
  const left = Math.exp(-Math.max(0, now - r.at) / WINDOW_MS);
  return { badEnds: r.badEnds * left + e.badEnds, successes: r.successes * left + e.successes, at: now };
}

/**
 * Whether a server's flows end badly as its peers' do not: most of its flows, and more than chance explains at the peers' rate. A client
 * can spoil flows at any server, and does so at all alike; without peers that serve, bad ends say nothing.
 */
export function unlikePeers(own: FlowRate, peers: FlowRate): boolean {
  // Beyond a thousand flows the share alone tells, and the sum of the tail must stay short: counts come from outside.
  const scale = Math.min(1, MOST_FLOWS / (own.badEnds + own.successes));
  const n = Math.round((own.badEnds + own.successes) * scale);
  const bad = Math.round(own.badEnds * scale);
  if (bad * 2 < n || peers.successes < 1) return false;
  const p = (peers.badEnds + 1) / (peers.badEnds + peers.successes + 2);
  return upperTail(n, bad, p) < UNLIKELY;
}

/** At least k of n, each with probability p: the terms of the binomial from k on, by their logarithms. */
function upperTail(n: number, k: number, p: number): number {
  let term = k * Math.log(p) + (n - k) * Math.log1p(-p);
  for (let i = 1; i <= k; i++) term += Math.log((n - k + i) / i);
  let sum = 0;
  for (let i = k; i <= n; i++) {
    sum += Math.exp(term);
    term += Math.log(((n - i) / (i + 1)) * (p / (1 - p)));
  }
  return sum;
}

/** The counts after newer evidence; judges nothing. */
export function learnFlows(p: Passive, e: FlowEvidence, now: number): Passive {
  const bad = e.unanswered + e.refusals;
  if (bad + e.badEnds + e.successes === 0) return p;
  return { ...p, rate: rateAfter(p.rate, e, now), failures: e.successes > 0 ? 0 : p.failures + bad };
}

/** Why flows say that a server is not to be used; null: they do not. `e`: the newest evidence, which is in `p` already. */
export function complaint(p: Passive, e: FlowEvidence, limit: number, peers: FlowRate): string | null {
  if (limit === 0) return null;
  if (e.badEnds > 0 && p.rate.badEnds >= limit && unlikePeers(p.rate, peers)) {
    const of = (r: FlowRate): string => `${Math.round(r.badEnds)} of ${Math.round(r.badEnds + r.successes)}`;
    return `passive: ${of(p.rate)} flows reset or ended without a byte of late, at its peers ${of(peers)}`;
  }
  if (e.unanswered + e.refusals === 0 || p.failures < limit) return null;
  const last = e.unanswered >= e.refusals ? "unanswered connects" : "refusals";
  return `passive: ${p.failures} failures in a row, last ${last}`;
}

/** Puts a server out. Each time soon after another holds twice as long. */
export function eject(p: Passive, reason: string, holdMs: number, now: number): Passive {
  const again = Math.floor(faded(p.ejections, EJECTION_HALF_LIFE_MS, now) + 0.5);
  const hold = holdMs * Math.min(LONGEST_HOLD, 2 ** again);
  return { ...p, failures: 0, until: now + hold, reason, ejections: oneMore(p.ejections, EJECTION_HALF_LIFE_MS, now) };
}

export const isOut = (p: Passive, now: number): boolean => now < p.until;
