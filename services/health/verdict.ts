// SPDX-License-Identifier: Apache-2.0
// What checks say of one server: pure functions of their results and of time. Times are milliseconds of the clock that is passed in.

export type HealthState = "UNKNOWN" | "UP" | "DOWN";

export interface CheckResult {
  ok: boolean;
  reason: string;
  rttMs: number;
  /** The check itself could not be made: says nothing of the server. */
  local?: true;
}

export interface CheckRules {
  rise: number;
  fall: number;
  /** A server that goes down again and again must show more good checks before it is up. */
  damping: boolean;
}

/** One check of one place. */
export interface CheckState {
  state: HealthState;
  reason: string;
  rttMs: number;
  /** Successes, failures in a row. */
  ok: number;
  bad: number;
  /** The last try could not be made, and there was no result before it. */
  unmade: boolean;
  flaps: Fading;
}

/** A count that halves with time. */
export interface Fading {
  count: number;
  at: number;
}

const FLAP_HALF_LIFE_MS = 60_000;
const MOST_DAMPING = 8;

export const NEVER: Fading = { count: 0, at: 0 };

export const faded = (f: Fading, halfLifeMs: number, now: number): number =>
  f.count === 0 ? 0 : f.count * 2 ** (-Math.max(0, now - f.at) / halfLifeMs);

export const oneMore = (f: Fading, halfLifeMs: number, now: number): Fading => ({
  count: faded(f, halfLifeMs, now) + 1,
  at: now,
});

export const CHECK_START: CheckState = {
  state: "UNKNOWN",
  reason: "not checked yet",
  rttMs: 0,
  ok: 0,
  bad: 0,
  unmade: false,
  flaps: NEVER,
};

/** Good checks in a row until a server that was down is up. The first two times that it goes down cost nothing more. */
export function riseNeeded(c: CheckState, rules: CheckRules, now: number): number {
  if (!rules.damping) return rules.rise;
  const again = Math.floor(faded(c.flaps, FLAP_HALF_LIFE_MS, now)) - 1;
  return rules.rise * Math.min(MOST_DAMPING, 2 ** Math.max(0, again));
}

export function judgeCheck(c: CheckState, r: CheckResult, rules: CheckRules, now: number): CheckState {
  // Out of descriptors or without its program, a checker that judged would take the whole pool out.
  if (r.local) return c.state === "UNKNOWN" ? { ...c, unmade: true, reason: r.reason } : c;
  if (r.ok) {
    const next = { ...c, ok: c.ok + 1, bad: 0, rttMs: r.rttMs, unmade: false };
    // A server never seen is trusted at its first good answer; one that was down must show `rise`.
    const up = c.state !== "DOWN" || next.ok >= riseNeeded(c, rules, now);
    return up ? { ...next, state: "UP", reason: r.reason } : next;
  }
  const next = { ...c, ok: 0, bad: c.bad + 1, unmade: false };
  if (next.bad < rules.fall) return next;
  const flaps = c.state === "UP" ? oneMore(c.flaps, FLAP_HALF_LIFE_MS, now) : c.flaps;
  return { ...next, state: "DOWN", reason: r.reason, flaps };
}

export interface Opinion {
  state: HealthState;
  reason: string;
  rttMs: number;
  /** Unknown because checks have not come to a word yet. Where none can be made here there is none to wait for. */
  pending: boolean;
}

/** Several checks of one server. Those that cannot be made here have no say. */
export function combine(checks: readonly CheckState[], any: boolean): Opinion {
  if (checks.length === 0) return { state: "UP", reason: "no checks run", rttMs: 0, pending: false };
  const made = checks.filter((c) => !c.unmade);
  const first = (state: HealthState): CheckState | undefined => made.find((c) => c.state === state);
  const [deciding, other] = any ? (["UP", "DOWN"] as const) : (["DOWN", "UP"] as const);
  const decides = first(deciding);
  const rttMs = made.reduce((most, c) => Math.max(most, c.rttMs), 0);
  if (decides) return { state: deciding, reason: decides.reason, rttMs, pending: false };
  const open = first("UNKNOWN");
  if (open) return { state: "UNKNOWN", reason: open.reason, rttMs: 0, pending: true };
  const rest = first(other);
  if (rest) return { state: other, reason: rest.reason, rttMs, pending: false };
  return { state: "UNKNOWN", reason: (checks[0] as CheckState).reason, rttMs: 0, pending: false };
}

export interface Verdict {
  state: HealthState;
  reason: string;
  since: number;
  rttMs: number;
  /** Never checked so far: no flows before its first good check. */
  waiting: boolean;
  /** Down by what flows showed. */
  passive: boolean;
}

/** The verdict now. `out`: why flows put it out; null: they do not. */
export function verdictOf(before: Verdict, o: Opinion, out: string | null, waits: boolean, now: number): Verdict {
  if (out !== null) return turned(before, { state: "DOWN", reason: out, rttMs: 0, waiting: false, passive: true }, now);
  if (o.state !== "UNKNOWN")
    return turned(before, { state: o.state, reason: o.reason, rttMs: o.rttMs, waiting: false, passive: false }, now);
  // A server that flows put out, and of which checks say nothing, is tried again: whoever heard DOWN must hear of it.
  if (before.passive)
    return turned(
      before,
      { state: "UP", reason: "tried again after a passive verdict", rttMs: 0, waiting: false, passive: false },
      now,
    );
  if (before.state !== "UNKNOWN") return before;
  return turned(before, { state: "UNKNOWN", reason: o.reason, rttMs: 0, waiting: waits && o.pending, passive: false }, now);
}

/** The same object where nothing changed. */
function turned(v: Verdict, to: Omit<Verdict, "since">, now: number): Verdict {
  if (v.state !== to.state) return { ...to, since: now };
  // Of a server that stays down the first reason is the one that tells why.
  const reason = to.state === "DOWN" ? v.reason : to.reason;
  const same = v.waiting === to.waiting && v.reason === reason && v.rttMs === to.rttMs && v.passive === to.passive;
  return same ? v : { ...to, reason, since: v.since };
}

export const verdictStart = (now: number, waiting: boolean): Verdict => ({
  state: "UNKNOWN",
  reason: "not checked yet",
  since: now,
  rttMs: 0,
  waiting,
  passive: false,
});
