// SPDX-License-Identifier: Apache-2.0
// The verdict on one server, a pure state machine: results of checks and what frames show in, up or down out.
// Times are milliseconds of the clock that is passed in.

export type HealthState = "UNKNOWN" | "UP" | "DOWN";

export interface VerdictRules {
  rise: number;
  fall: number;
  /** Failures of real flows in a row, without a success between, that count as down; 0 = frames are not judged. */
  passiveFailures: number;
  /** False where no checks run: then a passive verdict ends by itself. */
  active: boolean;
}

export interface Verdict {
  state: HealthState;
  reason: string;
  since: number;
  rttMs: number;
  /** Successes, failures in a row of checks. */
  ok: number;
  bad: number;
  /** Failures in a row of real flows. */
  passiveBad: number;
  /** Before this, a good check does not lift a verdict that real flows gave: a server may accept and still serve nobody. */
  heldUntil: number;
}

export interface CheckResult {
  ok: boolean;
  reason: string;
  rttMs: number;
  /** The check itself could not be made: says nothing of the server. */
  local?: true;
}

/** Growth of a server's counts between two frames. */
export interface FlowEvidence {
  unanswered: number;
  refusals: number;
  resets: number;
  successes: number;
}

/** What flows met at a server of late: counts that fade, so that old ones weigh nothing. */
export interface FlowRate {
  resets: number;
  successes: number;
  /** Of the newest evidence. */
  at: number;
}

export const NO_FLOWS: FlowRate = { resets: 0, successes: 0, at: 0 };

export const PASSIVE_HOLD_MS = 10_000;
const RATE_WINDOW_MS = 10_000;
/** A server whose peers would meet as many resets by chance once in so many looks is like them. */
const UNLIKELY = 1e-6;

/** The rate after newer evidence, or after time alone. */
export function rateAfter(r: FlowRate, e: Pick<FlowEvidence, "resets" | "successes">, now: number): FlowRate {
  const left = Math.exp(-Math.max(0, now - r.at) / RATE_WINDOW_MS);
  return { resets: r.resets * left + e.resets, successes: r.successes * left + e.successes, at: now };
}

/**
 * Whether a server resets flows as its peers do not: most of its flows, and more than chance explains at the peers' rate. A client
 * can make any server reset, and meets them all alike; without peers that serve, resets say nothing.
 */
export function unlikePeers(own: FlowRate, peers: FlowRate): boolean {
  const n = Math.round(own.resets + own.successes);
  const resets = Math.round(own.resets);
  if (resets * 2 < n || peers.successes < 1) return false;
  const p = (peers.resets + 1) / (peers.resets + peers.successes + 2);
  return upperTail(n, resets, p) < UNLIKELY;
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

export function verdictStart(now: number): Verdict {
  return { state: "UNKNOWN", reason: "not checked yet", since: now, rttMs: 0, ok: 0, bad: 0, passiveBad: 0, heldUntil: 0 };
}

function turn(v: Verdict, state: HealthState, reason: string, now: number): Verdict {
  return v.state === state ? { ...v, reason: state === "UP" ? reason : v.reason } : { ...v, state, reason, since: now };
}

export function judgeCheck(v: Verdict, r: CheckResult, rules: VerdictRules, now: number): Verdict {
  // Out of descriptors or without its program, a checker that judged would take the whole pool out.
  if (r.local) {
    if (v.state === "UNKNOWN") return v.reason === r.reason ? v : { ...v, reason: r.reason };
    // Nor can it lift what real flows said: that ends as without checks.
    return v.bad < rules.fall ? judgeTime(v, { ...rules, active: false }, now) : v;
  }
  if (r.ok) {
    const next = { ...v, ok: v.ok + 1, bad: 0, rttMs: r.rttMs };
    if (now < v.heldUntil) return next;
    // A server never seen is trusted at its first good answer; one that was down must show `rise`.
    const enough = v.state === "UNKNOWN" || next.ok >= rules.rise;
    return enough && v.state !== "UP" ? { ...turn(next, "UP", r.reason, now), passiveBad: 0 } : next;
  }
  const next = { ...v, ok: 0, bad: v.bad + 1 };
  return next.bad >= rules.fall ? turn(next, "DOWN", r.reason, now) : next;
}

/**
 * Connects that fail in a row are the server's doing alone. Resets may be a client's: they count when the server resets flows (`own`,
 * this evidence among them) as its peers in the pool do not.
 */
export function judgeFlows(
  v: Verdict,
  e: FlowEvidence,
  rules: VerdictRules,
  now: number,
  own: FlowRate = NO_FLOWS,
  peers: FlowRate = NO_FLOWS,
): Verdict {
  if (rules.passiveFailures === 0) return v;
  if (v.state !== "DOWN" && e.resets > 0 && own.resets >= rules.passiveFailures && unlikePeers(own, peers)) {
    const of = (r: FlowRate): string => `${Math.round(r.resets)} of ${Math.round(r.resets + r.successes)}`;
    return down(v, `passive: ${of(own)} flows reset of late, at its peers ${of(peers)}`, now);
  }
  if (e.successes > 0) return v.passiveBad === 0 ? v : { ...v, passiveBad: 0 };
  const bad = e.unanswered + e.refusals;
  if (bad === 0) return v;
  const next = { ...v, passiveBad: v.passiveBad + bad };
  if (v.state === "DOWN" || next.passiveBad < rules.passiveFailures) return next;
  const last = e.unanswered >= e.refusals ? "unanswered connects" : "refusals";
  return down(next, `passive: ${next.passiveBad} failures in a row, last ${last}`, now);
}

function down(v: Verdict, reason: string, now: number): Verdict {
  return { ...turn(v, "DOWN", reason, now), ok: 0, heldUntil: now + PASSIVE_HOLD_MS };
}

/**
 * Time passing: without checks, a verdict of real flows ends after its hold, and what no flow complained of counts as up. UNKNOWN would
 * not do: it teaches nobody, so that who heard DOWN, from us or from the process before us, would stay with it.
 */
export function judgeTime(v: Verdict, rules: VerdictRules, now: number): Verdict {
  if (rules.active || v.state === "UP") return v;
  if (v.state === "DOWN" && now >= v.heldUntil)
    return { ...turn(v, "UP", "tried again after a passive verdict", now), passiveBad: 0 };
  if (v.state === "UNKNOWN" && now - v.since >= PASSIVE_HOLD_MS) return turn(v, "UP", "no checks run", now);
  return v;
}
