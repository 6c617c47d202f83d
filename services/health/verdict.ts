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

export const PASSIVE_HOLD_MS = 10_000;

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

export function judgeFlows(v: Verdict, e: FlowEvidence, rules: VerdictRules, now: number): Verdict {
  if (rules.passiveFailures === 0) return v;
  if (e.successes > 0) return v.passiveBad === 0 ? v : { ...v, passiveBad: 0 };
  const bad = e.unanswered + e.refusals + e.resets;
  if (bad === 0) return v;
  const next = { ...v, passiveBad: v.passiveBad + bad };
  if (v.state === "DOWN" || next.passiveBad < rules.passiveFailures) return next;
  return { ...turn(next, "DOWN", passiveReason(e, next.passiveBad), now), ok: 0, heldUntil: now + PASSIVE_HOLD_MS };
}

/** Time passing: without checks, a verdict of real flows ends after its hold, so that the server is tried again. */
export function judgeTime(v: Verdict, rules: VerdictRules, now: number): Verdict {
  if (rules.active || v.state !== "DOWN" || now < v.heldUntil) return v;
  return { ...turn(v, "UNKNOWN", "tried again after a passive verdict", now), passiveBad: 0 };
}

function passiveReason(e: FlowEvidence, n: number): string {
  const what =
    e.unanswered >= e.refusals && e.unanswered >= e.resets
      ? "unanswered connects"
      : e.refusals >= e.resets
        ? "refusals"
        : "resets";
  return `passive: ${n} failures in a row, last ${what}`;
}
