// SPDX-License-Identifier: Apache-2.0
// Who of a pool may receive new flows: a pure function of what is wanted, what was seen, and the time.
import type { Hold, Intent, Source, Wanted } from "./intent.js";

/** WAITING: health has not checked it yet, and it is to get no flows until then. */
export type HealthFact = "UNKNOWN" | "WAITING" | "UP" | "DOWN";
export type PoolStatus = "NORMAL" | "DEGRADED" | "PANIC";

/** A member; where some have a higher `priority` than others, they stand by for those (absent: 0). */
export interface Member extends Wanted {
  priority?: number;
}

/** What this replica saw of one pool; nothing of it is ever stored. */
export interface Observations {
  /** What the pool's name or file holds; null = nothing was found yet, or it follows none. */
  found: readonly Member[] | null;
  /** What its data planes have, all together. */
  present: readonly Wanted[];
  health(address: string): HealthFact;
  /** When a server's slow start began; absent = none. */
  startedAt: ReadonlyMap<string, number>;
}

export interface PoolRules {
  minHealthy: number;
  panicThreshold: number;
  slowStartMs: number;
  /** Flows of a server that is down are closed. */
  closeDown: boolean;
}

export interface Moment {
  /** Monotonic, ms. */
  now: number;
  unixMs: number;
}

export interface Share {
  factor: number;
  reason: string;
  /** The flows that it has are to end. */
  close?: boolean;
  /** Masked by what was found, and not by an order: better than a refusal, for a flow that no other server took. */
  lastResort?: boolean;
}

export interface PoolOrder {
  status: PoolStatus;
  members: readonly Member[];
  /** By address; a missing one is 1. */
  shares: Map<string, Share>;
  /** Static weights instead of the policy's. */
  fallback: boolean;
  /** When time alone changes the order, by the monotonic clock; null = never. */
  nextAt: number | null;
}

const SLOW_START_STEPS = 10;

type Lists = Pick<Observations, "present" | "found">;

/** Whose list counts: the operator's of a managed pool, else what was found, else that of its data planes. */
export const sourceOf = (intent: Intent, seen: Lists): Source =>
  intent.managed ? "operator" : seen.found !== null ? "discovery" : "data plane";

export const membersOf = (intent: Intent, seen: Lists): readonly Member[] =>
  intent.managed ? intent.members : (seen.found ?? seen.present);

/** With too few left, flows to a server that may be dead are better than all flows to servers that will be. */
const tooFew = (healthy: number, of: number, rules: PoolRules): boolean =>
  healthy < Math.min(rules.minHealthy, of) || healthy / of < rules.panicThreshold;

/**
 * The priority whose servers serve: the first of which enough are up (RFC 2782: the lowest that can be reached), else the first of all. One that
 * is not checked yet counts neither way.
 */
function servingPriority(free: readonly Member[], seen: Observations, rules: PoolRules): number {
  const all = [...new Set(free.map((m) => m.priority ?? 0))].sort((a, b) => a - b);
  const enough = (priority: number): boolean => {
    const facts = free.filter((m) => (m.priority ?? 0) === priority).map((m) => seen.health(m.address));
    const checked = facts.filter((f) => f !== "WAITING");
    const healthy = checked.filter((f) => f !== "DOWN").length;
    return healthy > 0 && !tooFew(healthy, checked.length, rules);
  };
  return all.find(enough) ?? all[0] ?? 0;
}

function byAddress(holds: readonly Hold[]): Map<string, Hold[]> {
  const all = new Map<string, Hold[]>();
  for (const h of holds) {
    const there = all.get(h.address);
    if (there) there.push(h);
    else all.set(h.address, [h]);
  }
  return all;
}

/** What an operator wants of a server, where that is no new flows; null: nothing. */
function held(holds: readonly Hold[], m: Wanted, at: Moment): (Share & { changesAt: number | null }) | null {
  const drain = holds.find((h) => h.kind === "drain");
  const over = drain !== undefined && drain.deadline !== null && drain.deadline <= at.unixMs;
  const changesAt = drain?.deadline != null && !over ? at.now + (drain.deadline - at.unixMs) : null;
  if (holds.some((h) => h.kind === "maintenance")) return { factor: 0, reason: "maintenance", changesAt };
  if (drain && over && drain.close) return { factor: 0, reason: "drained, its flows closed", close: true, changesAt };
  if (drain) return { factor: 0, reason: over ? "draining, deadline over" : "draining", changesAt };
  return m.weight === 0 ? { factor: 0, reason: "weight 0", changesAt: null } : null;
}

/** The step of a slow start; null = it is over. */
function slowStart(startedAt: number, rules: PoolRules, now: number): { factor: number; nextAt: number } | null {
  const step = Math.max(1, Math.floor(((now - startedAt) / rules.slowStartMs) * SLOW_START_STEPS) + 1);
  if (!(step < SLOW_START_STEPS)) return null;
  return { factor: step / SLOW_START_STEPS, nextAt: startedAt + (step / SLOW_START_STEPS) * rules.slowStartMs };
}

export function orders(intent: Intent, seen: Observations, rules: PoolRules, at: Moment): PoolOrder {
  const members = membersOf(intent, seen);
  const shares = new Map<string, Share>();
  let nextAt: number | null = null;
  const wake = (t: number | null): void => {
    if (t !== null) nextAt = nextAt === null ? t : Math.min(nextAt, t);
  };
  const all: Member[] = [];
  const holds = byAddress(intent.holds);
  for (const m of members) {
    const h = held(holds.get(m.address) ?? [], m, at);
    if (h === null) all.push(m);
    else {
      const { changesAt, ...share } = h;
      shares.set(m.address, share);
      wake(changesAt);
    }
  }
  const priority = servingPriority(all, seen, rules);
  const free: Member[] = [];
  for (const m of all) {
    if ((m.priority ?? 0) === priority) free.push(m);
    else shares.set(m.address, { factor: 0, reason: `stands by, priority ${m.priority ?? 0}`, lastResort: true });
  }
  // While none is known to be up there is nobody to serve in the place of those that nobody has checked yet.
  const anyUp = free.some((m) => seen.health(m.address) === "UP");
  const waits = (m: Wanted): boolean => anyUp && seen.health(m.address) === "WAITING";
  for (const m of free) if (waits(m)) shares.set(m.address, { factor: 0, reason: "not checked yet" });
  const serving = free.filter((m) => !waits(m));
  const isDown = (m: Wanted): boolean => seen.health(m.address) === "DOWN";
  const down = serving.filter(isDown).length;
  const healthy = serving.length - down;
  const panic = down > 0 && tooFew(healthy, serving.length, rules);
  const masked: Share = { factor: 0, reason: "down", lastResort: true, ...(rules.closeDown && { close: true }) };
  for (const m of serving) {
    if (isDown(m)) {
      shares.set(m.address, panic ? { factor: 1, reason: "down, but too few are up" } : masked);
      continue;
    }
    const startedAt = seen.startedAt.get(m.address);
    const slow = startedAt === undefined || panic ? null : slowStart(startedAt, rules, at.now);
    if (slow === null) continue;
    shares.set(m.address, { factor: slow.factor, reason: "slow start" });
    wake(slow.nextAt);
  }
  return {
    status: panic ? "PANIC" : down > 0 || all.some((m) => (m.priority ?? 0) < priority) ? "DEGRADED" : "NORMAL",
    members,
    shares,
    // What a policy learned from servers that fail says nothing about a pool in which all are eligible.
    fallback: panic,
    nextAt,
  };
}

/** Equal texts for orders that mean the same to an agent; a term is raised when it changes. `list`: what data planes are told to have. */
export function orderKey(intent: Intent, order: PoolOrder, loadBalancers: readonly (number | string)[], list: string): string {
  const shares = [...order.shares].filter(([, s]) => s.factor !== 1).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([intent.version, order.status, order.fallback, loadBalancers, shares, list]);
}
