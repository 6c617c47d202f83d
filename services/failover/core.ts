// SPDX-License-Identifier: Apache-2.0
// failover's state: pools, what is known of their members, and the agents that serve them. Events in, orders out; no I/O, no clock
// of its own. A pool is named by its VIP's name, so that several load balancers share it.
import { canonicalAddress } from "../common/config/address.js";
import { invalid, ServiceError } from "../common/grpc/errors.js";
import { type VipBirth, vipKey } from "../common/identity.js";
import {
  changes,
  evaluate,
  type HealthFact,
  learnHealth,
  type Member,
  type MemberFacts,
  type OverrideState,
  orderKey,
  type PoolOrder,
  type PoolRules,
  type PoolState,
} from "./pool.js";

/** What one agent shows of one VIP. */
export interface AgentVip {
  instance: string;
  vipId: number;
  pool: string;
  dpEpoch: bigint;
  birth: bigint;
  generation: number;
  servers: { id: number; address: string; weight: number }[];
  ids: Map<string, number>;
  seenAt: number;
  appliedTerm: number;
  ladder: string;
}

export interface PoolView {
  pool: PoolState;
  order: PoolOrder;
  facts: Map<string, MemberFacts>;
  loadBalancers: number;
  /** Those that were seen, in an order that does not depend on who came first. */
  seen: readonly string[];
}

export interface CoreEvents {
  /** No data plane has the pool's VIP any more. */
  forgotten(name: string): void;
  /** The order for an agent's VIP changed, or must be said again. */
  order(agent: AgentVip, view: PoolView): void;
  changed(view: PoolView): void;
  save(pool: PoolState): void;
}

interface Entry extends PoolView {
  key: string;
}

/** Of an agent's VIP, the same at every replica. */
export const nameOf = (a: AgentVip): string => `${a.instance} ${a.vipId}`;

export const AGENT_GONE_MS = 10_000;

/** Orders that a lost store may have forgotten: years of a hundred a day. */
export const TERM_REACH = 1_000_000;

export class FailoverCore {
  private readonly pools = new Map<string, Entry>();
  private readonly agents = new Map<string, AgentVip>();

  constructor(
    private readonly rules: PoolRules,
    private readonly events: CoreEvents,
    /** Load balancers that the configuration says share a pool, at least. */
    private readonly configured: (pool: string) => number,
    /** Pools that the configuration itself says are managed here: no data plane's word ends them. */
    private readonly fixed: (pool: string) => boolean = () => false,
    /** What health said of a server, before its pool was known here perhaps. */
    private readonly heard: (pool: string, address: string) => HealthFact = () => "UNKNOWN",
  ) {}

  restore(state: PoolState, now: number): void {
    const facts = new Map<string, MemberFacts>();
    for (const address of state.down) facts.set(address, { health: "DOWN", startedAt: null });
    this.pools.set(state.name, {
      pool: structuredClone(state),
      facts,
      order: evaluate(state, facts, this.rules, now),
      loadBalancers: this.configured(state.name),
      seen: [],
      key: "",
    });
  }

  /** Another replica's newer state. Our orders go on from its term. */
  adopt(state: PoolState, now: number): void {
    const entry = this.pools.get(state.name);
    if (!entry) {
      this.restore(state, now);
      return;
    }
    if (state.term < entry.pool.term) return;
    const { down } = entry.pool;
    const holders = [...state.holders, ...this.agentsOf(state.name).map((a) => a.instance)];
    entry.pool = structuredClone({
      ...state,
      down: [...new Set([...state.down, ...down])],
      holders: [...new Set(holders)],
    });
    for (const address of state.down) {
      if (!entry.facts.has(address)) entry.facts.set(address, { health: "DOWN", startedAt: null });
    }
    this.judge(entry, now);
  }

  known(instance: string, vipId: number): AgentVip | undefined {
    return this.agents.get(`${instance}/${vipId}`);
  }

  /** A frame whose list is new: another data plane's life, another generation, or an agent not seen before. */
  list(agent: AgentVip, now: number): void {
    const slot = `${agent.instance}/${agent.vipId}`;
    const before = this.agents.get(slot);
    this.agents.set(slot, agent);
    if (before && before.pool !== agent.pool) this.left(before.pool, now);
    let entry = this.pools.get(agent.pool);
    const first = entry === undefined || entry.pool.members.length === 0;
    if (!entry) {
      const pool: PoolState = {
        name: agent.pool,
        vipId: agent.vipId,
        managed: false,
        revision: 0,
        term: 0,
        members: [],
        override: null,
        down: [],
        holders: [],
      };
      this.restore(pool, now);
      entry = this.pools.get(agent.pool) as Entry;
    }
    if (!entry.pool.holders.includes(agent.instance)) entry.pool.holders.push(agent.instance);
    if (!entry.pool.managed) this.adoptMembers(entry, first, now);
    for (const { address } of entry.pool.members) {
      const health = this.heard(entry.pool.name, address);
      if (health !== "UNKNOWN" && !entry.facts.has(address)) entry.facts.set(address, { health, startedAt: null });
    }
    this.judge(entry, now);
    this.events.order(agent, entry);
  }

  /**
   * An agent says that VIPs are gone from its data plane. A pool goes with the last data plane that had its VIP; one whose agent is
   * merely away still has it.
   */
  gone(instance: string, vips: readonly (VipBirth & { vipId: number; name: string })[], now: number): void {
    for (const vip of vips) {
      const slot = `${instance}/${vip.vipId}`;
      const agent = this.agents.get(slot);
      if (agent && vipKey(agent) === vipKey(vip)) this.agents.delete(slot);
      const entry = this.pools.get(vip.name);
      // It may be there again, or in another place of the same data plane.
      if (!entry || this.agentsOf(vip.name).some((a) => a.instance === instance)) continue;
      entry.pool.holders = entry.pool.holders.filter((h) => h !== instance);
      this.left(vip.name, now);
    }
  }

  /** Another replica forgot the pool. */
  removed(name: string): void {
    const entry = this.pools.get(name);
    if (!entry) return;
    if (this.agentsOf(name).length > 0 || this.fixed(name)) this.events.save(structuredClone(entry.pool));
    else this.pools.delete(name);
  }

  /** Any frame: life sign of an agent, and what it has in force. */
  seen(agent: AgentVip, appliedTerm: number, ladder: string, now: number): void {
    agent.seenAt = now;
    agent.ladder = ladder;
    agent.appliedTerm = appliedTerm;
    const entry = this.pools.get(agent.pool);
    // The agent obeys a term that we do not know of: our store is older than the last order. Go on from there. Beyond reach it is no
    // term of ours, and one step more would end what a number can count.
    if (entry && appliedTerm > entry.pool.term && appliedTerm - entry.pool.term <= TERM_REACH) {
      entry.pool.term = appliedTerm;
      this.raise(entry);
    }
  }

  /** Sends the order in force again: the agent's stream is new, or the order was lost. */
  resend(agent: AgentVip): void {
    const entry = this.pools.get(agent.pool);
    if (entry) this.events.order(agent, entry);
  }

  health(pool: string, address: string, state: HealthFact, now: number): void {
    const key = canonicalAddress(address);
    const entry = this.pools.get(pool);
    if (!entry || !(entry.pool.members.some((m) => m.address === key) || entry.facts.has(key))) return;
    const before = entry.facts.get(key);
    const after = learnHealth(before, state, now);
    if (before === after) return;
    entry.facts.set(key, after);
    this.judge(entry, now);
  }

  tick(now: number): void {
    const shrunk = new Set<string>();
    for (const [key, agent] of this.agents) {
      if (now - agent.seenAt < AGENT_GONE_MS) continue;
      this.agents.delete(key);
      shrunk.add(agent.pool);
    }
    for (const entry of this.pools.values()) {
      if (shrunk.has(entry.pool.name) || (entry.order.nextAt !== null && now >= entry.order.nextAt)) this.judge(entry, now);
    }
  }

  find(vipId: number, name: string): PoolView {
    const all = [...this.pools.values()];
    const there = `there ${all.length === 1 ? "is" : "are"} ${all.map((e) => `${e.pool.name} (VIP ${e.pool.vipId})`).join(", ") || "none yet"}`;
    if (name !== "") {
      const named = this.pools.get(name);
      if (!named) throw new ServiceError("NOT_FOUND", `name: no pool "${name}"; ${there}`);
      return named;
    }
    if (vipId === 0) throw invalid("vip_id", `is missing, and so is name; ${there}`);
    // Numbers are each data plane's own, and the store remembers pools of VIPs that had this one before: who is here now counts first.
    const here = new Set([...this.agents.values()].filter((a) => a.vipId === vipId).map((a) => a.pool));
    const found = here.size > 0 ? all.filter((e) => here.has(e.pool.name)) : all.filter((e) => e.pool.vipId === vipId);
    if (found.length > 1) {
      throw invalid("name", `is missing: VIP ${vipId} may be ${found.map((e) => e.pool.name).join(" or ")}`);
    }
    const [entry] = found;
    if (!entry) throw new ServiceError("NOT_FOUND", `vip_id: no pool of VIP ${vipId}; ${there}`);
    return entry;
  }

  views(): PoolView[] {
    return [...this.pools.values()];
  }

  agentsOf(pool: string): AgentVip[] {
    return [...this.agents.values()].filter((a) => a.pool === pool);
  }

  drain(view: PoolView, address: string, drain: boolean, now: number): Member {
    const entry = view as Entry;
    const member = entry.pool.members.find((m) => m.address === canonicalAddress(address));
    if (!member) throw new ServiceError("NOT_FOUND", `address: ${address} is not in pool ${entry.pool.name}`);
    if (member.drain !== drain) {
      member.drain = drain;
      if (entry.pool.managed) entry.pool.revision++;
      if (!drain) this.startSlowly(entry, member.address, now);
      this.judge(entry, now);
    }
    return member;
  }

  /** Replaces the wanted list; an empty one hands the pool back to its data planes. Returns what changes. */
  apply(view: PoolView, members: Member[], revision: number, dryRun: boolean, now: number): string[] {
    const entry = view as Entry;
    const { pool } = entry;
    if (revision !== 0 && revision !== pool.revision) {
      throw new ServiceError(
        "FAILED_PRECONDITION",
        `pool.revision: expected the current one, ${pool.revision}, found ${revision}`,
      );
    }
    const managed = members.length > 0;
    const what = managed ? changes(pool.members, members) : [];
    if (managed !== pool.managed) what.unshift(managed ? "local -> managed" : "managed -> local");
    if (dryRun || what.length === 0) return what;
    const before = new Set(pool.members.map((m) => m.address));
    pool.managed = managed;
    pool.revision++;
    if (managed) {
      pool.members = members;
      for (const m of members) if (before.size > 0 && !before.has(m.address)) this.startSlowly(entry, m.address, now);
    } else {
      this.adoptMembers(entry, false, now);
    }
    this.judge(entry, now);
    return what;
  }

  setOverride(view: PoolView, override: OverrideState | null, now: number): number {
    const entry = view as Entry;
    if (override) {
      const known = new Set(entry.pool.members.map((m) => m.address));
      const stranger = override.entries.find((e) => !known.has(e.address));
      if (stranger) throw new ServiceError("NOT_FOUND", `weights: ${stranger.address} is not in pool ${entry.pool.name}`);
      const none = new Set(override.entries.filter((e) => e.weight === 0).map((e) => e.address));
      if (entry.pool.members.every((m) => none.has(m.address)))
        throw invalid("weights", `expected a weight above 0 for some server of pool ${entry.pool.name}`);
    }
    entry.pool.override = override;
    this.judge(entry, now);
    return entry.pool.term;
  }

  /** A local pool is what its data planes have, all together; drains are ours. */
  private adoptMembers(entry: Entry, first: boolean, now: number): void {
    const before = new Map(entry.pool.members.map((m) => [m.address, m]));
    const next = new Map<string, Member>();
    for (const agent of this.agentsOf(entry.pool.name)) {
      for (const s of agent.servers) {
        const old = before.get(s.address);
        if (!next.has(s.address)) next.set(s.address, { address: s.address, weight: s.weight, drain: old?.drain ?? false });
        if (!old && !first) this.startSlowly(entry, s.address, now);
      }
    }
    entry.pool.members = [...next.values()];
    for (const address of entry.facts.keys()) if (!next.has(address)) entry.facts.delete(address);
  }

  /** A pool lost an agent. */
  private left(name: string, now: number): void {
    const entry = this.pools.get(name);
    if (!entry) return;
    if (entry.pool.holders.length > 0 || this.agentsOf(name).length > 0 || this.fixed(name)) {
      this.judge(entry, now);
      return;
    }
    this.pools.delete(name);
    this.events.forgotten(name);
  }

  private startSlowly(entry: Entry, address: string, now: number): void {
    const f = entry.facts.get(address);
    entry.facts.set(address, { health: f?.health ?? "UNKNOWN", startedAt: now });
  }

  private judge(entry: Entry, now: number): void {
    entry.pool.down = [...entry.facts].filter(([, f]) => f.health === "DOWN").map(([a]) => a);
    const agents = this.agentsOf(entry.pool.name);
    entry.loadBalancers = Math.max(1, this.configured(entry.pool.name), agents.length);
    entry.seen = agents.map(nameOf).sort();
    entry.order = evaluate(entry.pool, entry.facts, this.rules, now);
    const key = orderKey(entry.pool, entry.order, [entry.loadBalancers, ...entry.seen]);
    if (key === entry.key) return;
    entry.key = key;
    this.raise(entry);
  }

  private raise(entry: Entry): void {
    entry.pool.term++;
    this.events.save(structuredClone(entry.pool));
    this.events.changed(entry);
    for (const agent of this.agentsOf(entry.pool.name)) this.events.order(agent, entry);
  }
}
