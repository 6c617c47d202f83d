// SPDX-License-Identifier: Apache-2.0
// What is known at this moment: VIPs by load balancer, their servers, the pools as failover sees them. No I/O: it is told, and asked.
import type { GetPoolResponse__Output as Pool } from "../../gen/marllb/v1/GetPoolResponse.js";
import type { GetStatusResponse__Output as Status } from "../../gen/marllb/v1/GetStatusResponse.js";
import type { PoolMember__Output as Member } from "../../gen/marllb/v1/PoolMember.js";
import type { StreamStatsResponse__Output as Stats } from "../../gen/marllb/v1/StreamStatsResponse.js";
import { END_MS } from "../common/histogram.js";
import { jain } from "../common/native/figures.js";
import { wireLadder, wireMode, wireVipState } from "../common/vocabulary.js";
import { serverChange, trustChanges, vipChanges } from "./changes.js";
import type { EventLog } from "./eventlog.js";
import { NO_GUARDRAIL } from "./trust-now.js";
import { whyLadder } from "./why.js";
import type { Peer, ServerNow, Tone, TrustNow, VipBrief, VipDetail } from "./wire.js";

/** Nothing said for so long: what is shown is of then. */
const STALE_MS = 3000;
/** What went silent for so long is no longer listed. */
const FORGET_MS = 600_000;
/** A server's event waits so long for failover to say the reason. */
const REASON_MS = 2000;
const RATE_OVER_MS = 5000;
const MAX_KEPT = 512;

interface Count {
  at: number;
  newFlows: number;
  flows: number;
}

interface Seen {
  brief: VipBrief;
  vipId: number;
  servers: ServerNow[];
  /** By address: new flows as counted, to make a rate of. */
  counts: Map<string, Count[]>;
  refusal: string;
}

interface Waiting {
  key: string;
  pool: string;
  address: string;
  at: number;
  event: Parameters<EventLog["add"]>[0];
}

interface Lb {
  name: string;
  address: string;
  status: Status | null;
  /** Why it does not answer; empty = it does. */
  why: string;
}

export interface VipPlace {
  key: string;
  name: string;
  instance: string;
  vipId: number;
}

const NO_TRUST: TrustNow = { shadow: null, experiment: null, guardrail: NO_GUARDRAIL };

const quantile = (ms: number): number | null => (ms < 0 ? null : Math.min(ms, END_MS));

export class Model {
  readonly #lbs = new Map<string, Lb>();
  readonly #seen = new Map<string, Seen>();
  readonly #pools = new Map<string, { pool: Pool; at: number }>();
  readonly #failures = new Map<string, string>();
  readonly #trust = new Map<string, TrustNow>();
  #waiting: Waiting[] = [];

  constructor(
    private readonly events: EventLog,
    readonly capacity: Readonly<Record<string, number>>,
  ) {}

  /** An agent said what it is. Two of one name are told apart by their addresses. */
  status(address: string, status: Status, at: number): void {
    const before = this.#lbs.get(address);
    const twin = [...this.#lbs.values()].some((l) => l.address !== address && l.status?.instance === status.instance);
    const name = twin ? `${status.instance}@${address}` : status.instance;
    if (before?.status && before.why !== "") this.#contact(name, at, "good", `${name} answers again`);
    this.#lbs.set(address, {
      name: before?.status ? before.name : name,
      address,
      status,
      why: status.attached ? "" : status.why_not,
    });
  }

  /** An agent does not answer. */
  lost(address: string, why: string, at: number): void {
    const lb = this.#lbs.get(address);
    if (!lb?.status) this.#lbs.set(address, { name: address, address, status: null, why });
    else if (lb.why === "") {
      lb.why = why;
      this.#contact(lb.name, at, "bad", `${lb.name} does not answer: ${why}`);
    }
  }

  /** It is no longer among those that are shown. */
  gone(address: string): void {
    this.#lbs.delete(address);
  }

  silent(): { address: string; why: string }[] {
    return [...this.#lbs.values()].filter((l) => l.why !== "").map(({ address, why }) => ({ address, why }));
  }

  /** Why inference's policy could not decide; empty: it can. */
  failure(key: string, why: string): void {
    if (why === "") this.#failures.delete(key);
    else this.#failures.set(key, why);
  }

  /** Shadow, experiment and guardrail of a VIP, as the replica that steers it says. */
  trust(key: string, trust: TrustNow, at: number): void {
    for (const e of trustChanges(key, at, this.#trust.get(key), trust)) this.events.add(e);
    this.#trust.set(key, trust);
  }

  /** A load balancer's figures of one VIP. Answers what to remember; null: whose they are is not known yet. */
  stats(address: string, m: Stats, at: number): { brief: VipBrief; servers: ServerNow[] } | null {
    const lb = this.#lbs.get(address);
    const v = m.vip;
    if (!lb?.status || !v) return null;
    const key = `${lb.name}/${v.name}`;
    const before = this.#seen.get(key);
    const counts = before?.counts ?? new Map<string, Count[]>();
    const servers = this.#servers(v.name, m, at, counts);
    const brief = this.#brief(key, lb, m, servers, counts, at);
    if (!before && this.#seen.size >= MAX_KEPT) return null;
    this.#seen.set(key, { brief, vipId: v.vip_id, servers, counts, refusal: v.last_refusal });
    brief.why = this.#why(key, v.name, { ...brief, label: v.ladder });
    if (before) this.#changed(before, brief, servers);
    return { brief, servers };
  }

  pool(name: string, pool: Pool, at: number): void {
    this.#pools.set(name, { pool, at });
    this.settle(at);
  }

  poolsAt(name: string): number {
    return this.#pools.get(name)?.at ?? 0;
  }

  /** Events that waited for a reason, as far as they waited long enough. */
  settle(at: number): void {
    this.#waiting = this.#waiting.filter((w) => {
      const { pool, at: polled } = this.#pools.get(w.pool) ?? { at: 0 };
      const reason = polled > w.at ? memberOf(pool, w.address)?.reason : undefined;
      if (!reason && at - w.at < REASON_MS) return true;
      const why = reason && w.event.tone !== "good" ? `: ${reason}` : "";
      this.events.add({ ...w.event, text: w.event.text + why });
      return false;
    });
  }

  /** Pools whose servers changed and whose reasons are waited for. */
  wanted(): Set<string> {
    return new Set(this.#waiting.map((w) => w.pool));
  }

  briefs(at: number): VipBrief[] {
    for (const [key, s] of this.#seen) {
      if (at - s.brief.at <= FORGET_MS) continue;
      this.#seen.delete(key);
      this.#trust.delete(key);
      this.#failures.delete(key);
    }
    return [...this.#seen.values()]
      .map(({ brief }) => ({ ...brief, stale: at - brief.at > STALE_MS }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  detail(key: string): VipDetail | null {
    const s = this.#seen.get(key);
    if (!s) return null;
    const { pool } = this.#pools.get(s.brief.name) ?? {};
    return {
      key,
      trust: this.#trust.get(key) ?? NO_TRUST,
      servers: s.servers,
      peers: this.#peers(s.brief.lb),
      capacityKnown: this.#capacityKnown(s.servers.map((x) => x.address)),
      ordered: pool?.policy?.name ?? "",
      override: pool?.override?.reason ?? "",
      managed: pool?.pool?.managed ?? false,
    };
  }

  place(key: string): VipPlace | undefined {
    const s = this.#seen.get(key);
    if (!s) return undefined;
    const lb = [...this.#lbs.values()].find((l) => l.name === s.brief.lb);
    return { key, name: s.brief.name, instance: lb?.status?.instance ?? s.brief.lb, vipId: s.vipId };
  }

  names(): string[] {
    return [...new Set([...this.#seen.values()].map((s) => s.brief.name))];
  }

  #contact(lb: string, at: number, tone: "good" | "bad", text: string): void {
    this.events.add({ at, key: `${lb}/`, kind: "contact", tone, text });
  }

  #peers(lb: string): Peer[] {
    const { status } = [...this.#lbs.values()].find((l) => l.name === lb) ?? {};
    return (status?.peers ?? []).map(({ name, address, state }) => ({ name, address, state }));
  }

  #why(key: string, name: string, brief: VipBrief & { label: string }): string {
    return whyLadder(brief, {
      peers: this.#peers(brief.lb),
      override: this.#pools.get(name)?.pool.override?.reason ?? "",
      failure: this.#failures.get(key) ?? "",
      refusal: this.#seen.get(key)?.refusal ?? "",
    });
  }

  #changed(before: Seen, brief: VipBrief, servers: readonly ServerNow[]): void {
    const { key, at, name } = brief;
    // Turns that an experiment or the guardrail gives would hide everything else; what they found out is an event of its own.
    const turns = [before.brief, brief].some((b) => b.turnOf !== "" && b.turnOf !== "order");
    for (const e of vipChanges(before.brief, brief)) if (!turns || e.kind !== "policy") this.events.add(e);
    const was = new Map(before.servers.map((s) => [s.address, s]));
    const is = new Map(servers.map((s) => [s.address, s]));
    for (const address of new Set([...was.keys(), ...is.keys()])) {
      const event = serverChange(key, at, was.get(address), is.get(address));
      if (event) this.#waiting.push({ key, pool: name, address, at, event });
    }
  }

  #capacityKnown(addresses: readonly string[]): boolean {
    return addresses.length > 0 && addresses.every((a) => this.capacity[a] !== undefined);
  }

  #servers(pool: string, m: Stats, at: number, counts: Map<string, Count[]>): ServerNow[] {
    const members = this.#pools.get(pool)?.pool;
    const known = this.#capacityKnown(m.servers.map((s) => s.address));
    const worth = (s: Stats["servers"][number]): number =>
      (known ? (this.capacity[s.address] as number) : s.weight_static) * s.factor;
    const sum = m.servers.reduce((n, s) => n + worth(s), 0) || 1;
    const there = new Set(m.servers.map((s) => s.address));
    for (const address of counts.keys()) if (!there.has(address)) counts.delete(address);
    return m.servers.map((s) => {
      const member = memberOf(members, s.address);
      return {
        address: s.address,
        state: s.state,
        reason: s.state === "up" && s.factor === 1 ? "" : (member?.reason ?? ""),
        health: (member?.health ?? "HEALTH_FACT_UNKNOWN").replace("HEALTH_FACT_", "").toLowerCase(),
        weight: s.weight_static,
        share: s.share,
        factor: s.factor,
        flows: s.flows,
        newFlows: rate(counts, s.address, { at, newFlows: Number(s.new_flows), flows: s.flows }),
        p50: quantile(s.ttfb_p50_ms),
        p95: quantile(s.ttfb_p95_ms),
        holds: (member?.holds ?? []).map((h) => ({
          kind: h.kind === "HOLD_KIND_MAINTENANCE" ? ("maintenance" as const) : ("drain" as const),
          by: h.by,
          reason: h.reason,
          at: Number(h.at_unix_ms),
        })),
        due: worth(s) / sum,
      };
    });
  }

  #brief(key: string, lb: Lb, m: Stats, servers: readonly ServerNow[], counts: Map<string, Count[]>, at: number): VipBrief {
    const v = m.vip as NonNullable<Stats["vip"]>;
    const up = servers.filter((s) => s.state === "up" && s.factor > 0).length;
    const known = this.#capacityKnown(m.servers.map((s) => s.address));
    const step = wireLadder.value(v.ladder) ?? 0;
    return {
      key,
      lb: lb.name,
      name: v.name,
      address: v.address,
      policy: v.policy,
      turnOf: v.turn_of,
      mode: wireMode.word(v.mode),
      ladder: wireLadder.word(v.ladder),
      step,
      why: "",
      state: wireVipState.word(v.state),
      tone: toneOf(v.state, step, up, servers.length),
      source: v.source,
      at,
      stale: false,
      servers: servers.length,
      up,
      flows: servers.reduce((n, s) => n + s.flows, 0),
      newFlows: m.new_flows_per_s,
      p50: quantile(m.ttfb_p50_ms),
      p95: quantile(m.ttfb_p95_ms),
      p99: quantile(m.ttfb_p99_ms),
      jain: known ? fairness(m.servers, counts, this.capacity) : m.jain,
      effectMs: v.effect_ms,
    };
  }
}

function toneOf(state: string, step: number, up: number, servers: number): Tone {
  if (state === "VIP_STATE_PANIC" || step > 1 || up === 0) return "bad";
  return state === "VIP_STATE_DEGRADED" || step > 0 || up < servers ? "note" : "good";
}

const memberOf = (pool: Pool | undefined, address: string): Member | undefined =>
  pool?.members.find((m) => m.server?.address === address);

/** Of the flows over the last seconds, for one moment of few flows says little. */
function fairness(
  servers: readonly Stats["servers"][number][],
  counts: Map<string, Count[]>,
  capacity: Model["capacity"],
): number {
  return jain(
    servers.map(({ address }) => {
      const list = counts.get(address) ?? [];
      return list.reduce((n, c) => n + c.flows, 0) / list.length / (capacity[address] as number);
    }),
  );
}

/** New flows a second over the last five; a count that fell is a server that began anew. */
function rate(counts: Map<string, Count[]>, address: string, now: Count): number {
  const before = counts.get(address) ?? [];
  const anew = (before.at(-1)?.newFlows ?? 0) > now.newFlows;
  const list = anew ? [] : before.filter((c) => now.at - c.at <= RATE_OVER_MS);
  const first = list[0];
  counts.set(address, [...list, now]);
  return first && now.at > first.at ? (1000 * (now.newFlows - first.newFlows)) / (now.at - first.at) : 0;
}
