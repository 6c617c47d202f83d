// SPDX-License-Identifier: Apache-2.0
// failover's state: what is wanted of each pool, what this replica observed of it, and the order made of both. Events in, orders out; no I/O,
// no clock of its own. A pool is named by its VIP's name, so that several load balancers share it.

import { canonicalAddress } from "../common/config/address.js";
import { invalid, ServiceError } from "../common/grpc/errors.js";
import { type VipBirth, vipKey } from "../common/identity.js";
import { type AgentVip, nameOf } from "./agent-vip.js";
import { emptyIntent, hasOrders, type Intent, type Source, type Wanted } from "./intent.js";
import {
  type HealthFact,
  type Member,
  type Moment,
  membersOf,
  orderKey,
  orders,
  type PoolOrder,
  type PoolRules,
  sourceOf,
} from "./orders.js";
import { firstTerm, nextTerm, outside, versionOf } from "./terms.js";

export interface PoolView {
  name: string;
  vipId: number;
  intent: Intent;
  order: PoolOrder;
  term: number;
  /** Whose list the members are. */
  source: Source;
  /**
   * The list that data planes are to have: of this revision, or a later one that they have is kept; null = their own stands. Within a
   * version of the intent what was found may change: revisions are terms, therefore.
   */
  listRevision: number | null;
  /** Servers that join wait for an order that knows them: health is heard, and may never have checked them. */
  newcomersWait: boolean;
  /** Flows of servers that leave are closed. */
  closeRemoved: boolean;
  loadBalancers: number;
  /** Those that are heard, in an order that does not depend on who came first. */
  seen: readonly string[];
}

export interface CoreEvents {
  /** The order for an agent's VIP changed, or must be said again. */
  order(agent: AgentVip, view: PoolView): void;
  changed(view: PoolView): void;
  /** No data plane has the pool's VIP any more, and nobody ordered anything of it. */
  forgotten(name: string): void;
  /** An agent obeys an order made of this version, which we have not read. */
  later(pool: string, version: number): void;
}

/** Of all pools. */
export type CommonRules = Omit<PoolRules, "closeDown">;

export interface CoreOptions {
  rules: CommonRules;
  events: CoreEvents;
  /** Load balancers that the configuration says share a pool, at least. */
  configured(pool: string): number;
  /** What health said of a server, before its pool was known here perhaps. */
  heard(pool: string, address: string): HealthFact;
  /** Whether any health is heard: of a server that joins it will say something soon. */
  hears(): boolean;
  fixed: readonly FixedPool[];
}

/** A pool of the configuration: known without any data plane, as is what it begins with. */
export interface FixedPool {
  name: string;
  vipId: number;
  servers: readonly Wanted[];
  /** What data planes have is their own, where nobody orders a list. */
  local: boolean;
  /** It follows a name or a file: found() tells what that holds. */
  follows: boolean;
  /** Whose flows are closed: of servers that are down, of those that left. */
  closeDown: boolean;
  closeRemoved: boolean;
}

interface Entry extends PoolView {
  /** By slot; those that are away among them. */
  agents: Map<string, AgentVip>;
  startedAt: Map<string, number>;
  /** Of members. */
  facts: Map<string, HealthFact>;
  /** Members that joined, until health says something of them or this moment. */
  unspoken: Map<string, number>;
  present: readonly Wanted[];
  found: readonly Member[] | null;
  /** What was found last, in the words of an order, and the term that it came with; 0 = never was any. */
  list: string;
  listTerm: number;
  key: string;
  /** When nobody here had it any more; null = somebody has. */
  bareSince: number | null;
  judgedAt: number;
  /** A verdict waits for the next judgement. */
  due: boolean;
}

/** An agent that says nothing for so long no longer counts as a load balancer. */
export const AGENT_AWAY_MS = 10_000;
/** One that stays away counts as gone, with what only it had. */
export const FORGET_MS = 600_000;
/** Health hears of a server that joins when we do, and says what it knows of it at once. */
export const UNSPOKEN_MS = 2000;
/** Pools are named by data planes, whoever they are. */
export const MAX_POOLS = 4096;

/**
 * Judging a pool costs as its members are many, and when they are, verdicts come in crowds (a start, a switch that dies). The first is judged at
 * once; those within so long after it together, at the next tick. A pool of up to so many members is judged at each verdict.
 */
const SMALL_POOL = 64;
const PAUSE_MS_A_MEMBER = 0.05;

const slotOf = (instance: string, vipId: number): string => `${instance}/${vipId}`;

export class FailoverCore {
  private readonly pools = new Map<string, Entry>();
  private readonly agents = new Map<string, AgentVip>();

  constructor(private readonly o: CoreOptions) {
    const never = { now: 0, unixMs: 0 };
    for (const { name, vipId } of o.fixed) this.judge(this.make(emptyIntent(name), vipId, never), never);
  }

  /** A newer intent, whoever changed it. */
  wanted(intent: Intent, at: Moment): void {
    const entry = this.pools.get(intent.pool) ?? this.make(intent, 0, at);
    const before = entry.intent;
    this.relist(entry, at, () => {
      entry.intent = intent;
    });
    const held = new Set(intent.holds.map((h) => h.address));
    for (const h of before.holds) if (!held.has(h.address)) entry.startedAt.set(h.address, at.now);
    this.judge(entry, at);
  }

  /** What a pool's name or file holds now. */
  found(pool: string, servers: readonly Member[], at: Moment): void {
    const entry = this.pools.get(pool);
    if (!entry) return;
    this.relist(entry, at, () => {
      entry.found = servers;
    });
    this.judge(entry, at);
  }

  known(instance: string, vipId: number): AgentVip | undefined {
    return this.agents.get(slotOf(instance, vipId));
  }

  /** A frame whose list is new: another data plane's life, another generation, or an agent not seen before. */
  list(agent: AgentVip, at: Moment): void {
    const slot = slotOf(agent.instance, agent.vipId);
    const before = this.agents.get(slot);
    if (!this.pools.has(agent.pool) && this.pools.size >= MAX_POOLS)
      throw new ServiceError("RESOURCE_EXHAUSTED", `name: ${MAX_POOLS} pools are known already`);
    this.agents.set(slot, agent);
    if (before && before.pool !== agent.pool) this.left(slot, before.pool, at);
    const entry = this.pools.get(agent.pool) ?? this.make(emptyIntent(agent.pool), agent.vipId, at);
    entry.agents.set(slot, agent);
    entry.vipId ||= agent.vipId;
    this.gather(entry, at);
    entry.bareSince = null;
    // What a data plane has in force stands for the verdicts that were not heard: a restart must let no flow to a dead server.
    const held = new Set(entry.intent.holds.map((h) => h.address));
    const members = new Set(membersOf(entry.intent, entry).map((m) => m.address));
    for (const address of agent.masked)
      if (members.has(address) && !held.has(address) && !entry.facts.has(address)) entry.facts.set(address, "DOWN");
    this.judge(entry, at);
    // A list that was found once, of a name or a file that nobody follows any more.
    const fixed = this.fixed(entry.name);
    if (agent.managed && entry.source === "data plane" && fixed?.local && !fixed.follows) this.raise(entry, true);
    this.o.events.order(agent, entry);
  }

  /** An agent says that VIPs are gone from its data plane. One that is merely away still has them, for a while. */
  gone(instance: string, vips: readonly (VipBirth & { vipId: number; name: string })[], at: Moment): void {
    for (const vip of vips) {
      const slot = slotOf(instance, vip.vipId);
      const agent = this.agents.get(slot);
      if (!agent || vipKey(agent) !== vipKey(vip)) continue;
      this.agents.delete(slot);
      this.left(slot, agent.pool, at);
    }
  }

  /** Any frame: life sign of an agent, and what it has in force. */
  seen(agent: AgentVip, appliedTerm: number, ladder: string, now: number): void {
    agent.seenAt = now;
    agent.ladder = ladder;
    agent.appliedTerm = appliedTerm;
    const entry = this.pools.get(agent.pool);
    if (!entry) return;
    const says = outside(appliedTerm, entry.intent.version, entry.term);
    if (says === "follow") {
      entry.term = appliedTerm;
      // Which list came with the other replica's order is not known here.
      this.raise(entry, entry.source === "discovery");
    } else if (says === "later") this.o.events.later(agent.pool, versionOf(appliedTerm));
  }

  /** Sends the order in force again: the agent's stream is new, or the order was lost. */
  resend(agent: AgentVip): void {
    const entry = this.pools.get(agent.pool);
    if (entry) this.o.events.order(agent, entry);
  }

  resendAll(): void {
    for (const agent of this.agents.values()) this.resend(agent);
  }

  /** UNKNOWN teaches nothing and WAITING nothing of a server that was checked before: what was known stays. */
  health(pool: string, address: string, state: HealthFact, at: Moment): void {
    const entry = this.pools.get(pool);
    const key = canonicalAddress(address);
    if (!entry || !membersOf(entry.intent, entry).some((m) => m.address === key)) return;
    const spoken = entry.unspoken.delete(key);
    const before = entry.facts.get(key);
    const checked = before === "UP" || before === "DOWN";
    if (state === "UNKNOWN" && !checked) entry.facts.delete(key);
    else if (state === "UP" || state === "DOWN" || !checked) entry.facts.set(key, state);
    const after = entry.facts.get(key);
    if (before === after && !spoken) return;
    if (after === "DOWN") entry.startedAt.delete(key);
    // A server that joined starts when its first check is good, not when it joined.
    else if (after === "UP" && (before === "DOWN" || (!checked && entry.startedAt.has(key)))) entry.startedAt.set(key, at.now);
    const members = entry.order.members.length;
    if (members > SMALL_POOL && at.now - entry.judgedAt < members * PAUSE_MS_A_MEMBER) entry.due = true;
    else this.judge(entry, at);
  }

  tick(at: Moment): void {
    const touched = new Set<string>();
    for (const [slot, agent] of this.agents) {
      const silent = at.now - agent.seenAt;
      if (silent < AGENT_AWAY_MS) continue;
      touched.add(agent.pool);
      if (silent < FORGET_MS) continue;
      this.agents.delete(slot);
      this.left(slot, agent.pool, at);
    }
    for (const entry of this.pools.values()) {
      if (this.overdue(entry, at)) touched.add(entry.name);
      if (entry.due || touched.has(entry.name) || (entry.order.nextAt !== null && at.now >= entry.order.nextAt))
        this.judge(entry, at);
      if (entry.bareSince !== null && at.now - entry.bareSince >= FORGET_MS) this.forget(entry);
    }
  }

  find(vipId: number, name: string): PoolView {
    const all = [...this.pools.values()];
    const there = `there ${all.length === 1 ? "is" : "are"} ${all.map((e) => `${e.name} (VIP ${e.vipId})`).join(", ") || "none yet"}`;
    if (name !== "") {
      const named = this.pools.get(name);
      if (named) return named;
      throw this.nobody(`name: no pool "${name}"; ${there}`);
    }
    if (vipId === 0) throw invalid("vip_id", `is missing, and so is name; ${there}`);
    // Numbers are each data plane's own, and intents outlive VIPs that had this one before: who is here now counts first.
    const here = new Set([...this.agents.values()].filter((a) => a.vipId === vipId).map((a) => a.pool));
    const found = here.size > 0 ? all.filter((e) => here.has(e.name)) : all.filter((e) => e.vipId === vipId);
    if (found.length > 1) throw invalid("name", `is missing: VIP ${vipId} may be ${found.map((e) => e.name).join(" or ")}`);
    const [entry] = found;
    if (!entry) throw this.nobody(`vip_id: no pool of VIP ${vipId}; ${there}`);
    return entry;
  }

  views(): PoolView[] {
    return [...this.pools.values()];
  }

  /** Of a pool that data planes have; what is only wanted has no state. */
  served(): PoolView[] {
    return [...this.pools.values()].filter((e) => e.bareSince === null);
  }

  /** Those that have the pool's VIP; one that is away has it for a while yet. */
  agentsOf(pool: string): AgentVip[] {
    return [...(this.pools.get(pool)?.agents.values() ?? [])];
  }

  healthOf(pool: string, address: string): HealthFact {
    return this.pools.get(pool)?.facts.get(address) ?? "UNKNOWN";
  }

  /** An address that an order names: it must be somebody's, as far as this replica can know. */
  needMember(view: PoolView, address: string, field: string): void {
    const known = [...view.order.members, ...view.intent.holds];
    if (known.some((m) => m.address === address)) return;
    throw this.agentsOf(view.name).length > 0 || view.intent.managed
      ? new ServiceError("NOT_FOUND", `${field}: ${address} is not in pool ${view.name}`)
      : this.nobody(`${field}: ${address} is not known in pool ${view.name}`);
  }

  /** Another replica may hear the load balancers that this one does not. */
  private nobody(what: string): ServiceError {
    if (this.agents.size > 0) return new ServiceError("NOT_FOUND", what);
    return new ServiceError("UNAVAILABLE", `${what}: no load balancer is connected to this replica`);
  }

  private fixed(pool: string): FixedPool | undefined {
    return this.o.fixed.find((f) => f.name === pool);
  }

  private make(intent: Intent, vipId: number, at: Moment): Entry {
    const entry: Entry = {
      name: intent.pool,
      vipId,
      intent,
      order: { status: "NORMAL", members: [], shares: new Map(), fallback: false, nextAt: null },
      term: 0,
      source: "data plane",
      listRevision: null,
      newcomersWait: false,
      closeRemoved: this.fixed(intent.pool)?.closeRemoved ?? false,
      loadBalancers: this.o.configured(intent.pool),
      seen: [],
      agents: new Map(),
      startedAt: new Map(),
      facts: new Map(),
      unspoken: new Map(),
      present: this.fixed(intent.pool)?.servers ?? [],
      found: null,
      list: "",
      listTerm: 0,
      key: "",
      bareSince: at.now,
      judgedAt: Number.NEGATIVE_INFINITY,
      due: false,
    };
    this.pools.set(entry.name, entry);
    return entry;
  }

  /** What the pool's data planes have, all together. */
  private gather(entry: Entry, at: Moment): void {
    const next = new Map<string, Wanted>();
    for (const agent of entry.agents.values()) {
      for (const { address, weight } of agent.servers) if (!next.has(address)) next.set(address, { address, weight });
    }
    const present = entry.agents.size > 0 ? [...next.values()] : (this.fixed(entry.name)?.servers ?? []);
    const first = entry.bareSince !== null;
    // The first data plane has what served before this replica was started.
    if (first) entry.present = present;
    const before = first ? present : membersOf(entry.intent, entry);
    this.relist(entry, at, () => (entry.present = present), before);
  }

  /** Other members. One that joins those that are there starts slowly. */
  private relist(entry: Entry, at: Moment, change: () => void, before = membersOf(entry.intent, entry)): void {
    const had = new Set(before.map((m) => m.address));
    change();
    if (had.size > 0) for (const m of membersOf(entry.intent, entry)) if (!had.has(m.address)) this.joined(entry, m.address, at);
    this.recall(entry);
  }

  /** A server came to those that are there: it starts slowly, and not before its first check. */
  private joined(entry: Entry, address: string, at: Moment): void {
    entry.startedAt.set(address, at.now);
    if (this.o.hears() && this.o.heard(entry.name, address) === "UNKNOWN") entry.unspoken.set(address, at.now + UNSPOKEN_MS);
  }

  /** Health said nothing of a server that joined: it is not waited for. */
  private overdue(entry: Entry, at: Moment): boolean {
    let any = false;
    for (const [address, until] of entry.unspoken) if (at.now >= until) any = entry.unspoken.delete(address) || any;
    return any;
  }

  /** Members changed: what health said of them before, and nothing of others. */
  private recall(entry: Entry): void {
    const members = new Set(membersOf(entry.intent, entry).map((m) => m.address));
    for (const address of entry.startedAt.keys()) if (!members.has(address)) entry.startedAt.delete(address);
    for (const address of entry.facts.keys()) if (!members.has(address)) entry.facts.delete(address);
    for (const address of entry.unspoken.keys()) if (!members.has(address)) entry.unspoken.delete(address);
    for (const address of members) {
      const health = this.o.heard(entry.name, address);
      if (health !== "UNKNOWN" && !entry.facts.has(address)) entry.facts.set(address, health);
    }
  }

  /** A pool lost an agent. */
  private left(slot: string, name: string, at: Moment): void {
    const entry = this.pools.get(name);
    if (!entry) return;
    entry.agents.delete(slot);
    this.gather(entry, at);
    if (entry.agents.size === 0) {
      entry.bareSince = at.now;
      if (this.forget(entry)) return;
    }
    this.judge(entry, at);
  }

  /** What nobody has is forgotten, but for what an operator ordered and what the configuration names. */
  private forget(entry: Entry): boolean {
    if (entry.bareSince === null || hasOrders(entry.intent) || this.o.fixed.some((f) => f.name === entry.name)) return false;
    this.pools.delete(entry.name);
    this.o.events.forgotten(entry.name);
    return true;
  }

  private judge(entry: Entry, at: Moment): void {
    entry.judgedAt = at.now;
    entry.due = false;
    const agents = [...entry.agents.values()].filter((a) => at.now - a.seenAt < AGENT_AWAY_MS);
    entry.loadBalancers = Math.max(1, this.o.configured(entry.name), agents.length);
    entry.seen = agents.map(nameOf).sort();
    const { present, found, startedAt } = entry;
    const health = (address: string): HealthFact =>
      entry.facts.get(address) ?? (entry.unspoken.has(address) ? "WAITING" : "UNKNOWN");
    const rules = { ...this.o.rules, closeDown: this.fixed(entry.name)?.closeDown ?? false };
    entry.order = orders(entry.intent, { present, found, startedAt, health }, rules, at);
    entry.newcomersWait = this.o.hears();
    entry.source = sourceOf(entry.intent, entry);
    const list = entry.source === "discovery" ? JSON.stringify(entry.order.members.map((m) => [m.address, m.weight])) : "";
    const key = orderKey(entry.intent, entry.order, [Number(entry.newcomersWait), entry.loadBalancers, ...entry.seen], list);
    if (key === entry.key) return;
    entry.key = key;
    const other = list !== entry.list;
    entry.list = list;
    this.raise(entry, other);
  }

  /** Other rules, from the next order on; whom they concern is judged at once. */
  setRules(rules: CommonRules, at: Moment): void {
    this.o.rules = rules;
    for (const entry of this.pools.values()) this.judge(entry, at);
  }

  /** `list`: the data planes are to take the list anew, whichever they have. */
  private raise(entry: Entry, list: boolean): void {
    const { version } = entry.intent;
    entry.term = nextTerm(version, entry.term);
    if (list) entry.listTerm = entry.term;
    const follows = entry.source === "data plane" && this.fixed(entry.name)?.follows === true;
    // While nothing is found what was found before stands, at whatever data plane.
    const own = follows || (version === 0 && entry.listTerm === 0);
    entry.listRevision = own ? null : Math.max(version === 0 ? 0 : firstTerm(version), entry.listTerm);
    this.o.events.changed(entry);
    for (const agent of entry.agents.values()) this.o.events.order(agent, entry);
  }
}
