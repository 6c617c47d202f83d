// SPDX-License-Identifier: Apache-2.0
// Who of a pool may receive new flows: a pure function of the pool's wanted state, the facts and the time.

export type HealthFact = "UNKNOWN" | "UP" | "DOWN";
export type PoolStatus = "NORMAL" | "DEGRADED" | "PANIC";

export interface Member {
  address: string;
  weight: number;
  drain: boolean;
}

export interface OverrideState {
  entries: { address: string; weight: number }[];
  /** "MODE_UNSPECIFIED" leaves the mode as it is. */
  mode: string;
  reason: string;
}

/** What is kept of a pool, over restarts and replicas. */
export interface PoolState {
  name: string;
  vipId: number;
  managed: boolean;
  revision: number;
  /** Raised by every order that differs from the last. */
  term: number;
  members: Member[];
  override: OverrideState | null;
  /** Addresses last known to be down: a restart must not let flows to them until health has spoken again. */
  down: string[];
  /** Instances whose data planes have the VIP; one whose agent is away is among them. */
  holders: string[];
}

/** What is seen of a member, this process only. */
export interface MemberFacts {
  health: HealthFact;
  /** When a slow start began, null = none. */
  startedAt: number | null;
}

export interface PoolRules {
  minHealthy: number;
  panicThreshold: number;
  slowStartMs: number;
}

export interface Share {
  factor: number;
  reason: string;
}

export interface PoolOrder {
  status: PoolStatus;
  /** By address; a missing one is 1. */
  shares: Map<string, Share>;
  /** Static weights instead of the policy's. */
  fallback: boolean;
  /** When time alone changes the order; null = never. */
  nextAt: number | null;
}

const SLOW_START_STEPS = 10;

export function evaluate(
  pool: Pick<PoolState, "members">,
  facts: ReadonlyMap<string, MemberFacts>,
  rules: PoolRules,
  now: number,
): PoolOrder {
  const shares = new Map<string, Share>();
  const serving = pool.members.filter((m) => !m.drain);
  const isDown = (m: Member): boolean => facts.get(m.address)?.health === "DOWN";
  const down = serving.filter(isDown);
  const healthy = serving.length - down.length;
  // With too few left, flows to a server that may be dead are better than all flows to servers that will be.
  const panic =
    serving.length > 0 &&
    down.length > 0 &&
    (healthy < Math.min(rules.minHealthy, serving.length) || healthy / serving.length < rules.panicThreshold);
  let nextAt: number | null = null;

  for (const m of pool.members) {
    if (m.drain) {
      shares.set(m.address, { factor: 0, reason: "draining" });
    } else if (isDown(m)) {
      shares.set(m.address, panic ? { factor: 1, reason: "down, but too few are up" } : { factor: 0, reason: "down" });
    } else {
      const startedAt = facts.get(m.address)?.startedAt ?? null;
      if (startedAt === null || panic) continue;
      const step = Math.floor(((now - startedAt) / rules.slowStartMs) * SLOW_START_STEPS) + 1;
      if (!(step < SLOW_START_STEPS)) continue;
      shares.set(m.address, { factor: Math.max(1, step) / SLOW_START_STEPS, reason: "slow start" });
      const at = startedAt + (Math.max(1, step) / SLOW_START_STEPS) * rules.slowStartMs;
      nextAt = nextAt === null ? at : Math.min(nextAt, at);
    }
  }
  return {
    status: panic ? "PANIC" : down.length > 0 ? "DEGRADED" : "NORMAL",
    shares,
    // What a policy learned from servers that fail says nothing about a pool in which all are eligible.
    fallback: panic,
    nextAt,
  };
}

/** Equal texts for orders that mean the same to an agent; a term is raised when it changes. */
export function orderKey(pool: PoolState, order: PoolOrder, loadBalancers: readonly (number | string)[]): string {
  const shares = [...order.shares].filter(([, s]) => s.factor !== 1).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([
    order.status,
    order.fallback,
    loadBalancers,
    shares.map(([a, s]) => [a, s.factor, s.reason]),
    pool.override,
    pool.managed ? [pool.revision, pool.members] : null,
  ]);
}

/** Facts after a health verdict. UNKNOWN teaches nothing: what was known stays. */
export function learnHealth(f: MemberFacts | undefined, health: HealthFact, now: number): MemberFacts {
  const before = f ?? { health: "UNKNOWN", startedAt: null };
  if (health === "UNKNOWN" || health === before.health) return before;
  if (health === "DOWN") return { health, startedAt: null };
  return { health, startedAt: before.health === "DOWN" ? now : before.startedAt };
}

/** What changes from one wanted list to another, for people. */
export function changes(before: readonly Member[], after: readonly Member[]): string[] {
  const old = new Map(before.map((m) => [m.address, m]));
  const out: string[] = [];
  for (const m of after) {
    const o = old.get(m.address);
    old.delete(m.address);
    if (!o) out.push(`add ${m.address} weight ${m.weight}${m.drain ? ", draining" : ""}`);
    else {
      if (o.weight !== m.weight) out.push(`weight of ${m.address}: ${o.weight} -> ${m.weight}`);
      if (o.drain !== m.drain) out.push(`${m.drain ? "drain" : "undrain"} ${m.address}`);
    }
  }
  for (const address of old.keys()) out.push(`remove ${address}`);
  return out;
}
