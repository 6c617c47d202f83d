// SPDX-License-Identifier: Apache-2.0
// How many flows a pool's members have, as far as load balancers tell it here, and why there may be more. A count that nobody tells is
// unknown, never 0: an operator pulls a plug by it.
import type { Seen } from "./seen.js";

export interface LoadBalancerFlows {
  instance: string;
  /** Its frames come here now. */
  heard: boolean;
  /** By address. */
  flows: ReadonlyMap<string, number>;
  /** By address: why there may be more. */
  unknown: ReadonlyMap<string, string>;
}

/** What the newest frame of one VIP of one load balancer says, decoded when somebody asks. */
export interface Latest {
  pool: string;
  instance: string;
  dpEpoch: bigint;
  servers(): ReadonlyMap<string, Seen>;
}

/** Flows of a data plane's former life: it may drain, and has no frames. */
interface Former {
  pool: string;
  instance: string;
  servers: ReadonlyMap<string, Seen>;
  until: number;
}

/** Who is refused tries again every second. */
const REFUSED_MS = 5000;

export class Flows {
  private readonly latest = new Map<string, Latest>();
  /** Load balancers that are refused, by what tells them apart. */
  private readonly refusals = new Map<string, Latest & { until: number }>();
  private formers: Former[] = [];

  /** `drainMs`: a data plane that was taken over ends by then. */
  constructor(private readonly drainMs: number) {}

  /** A frame. `slot` names its VIP at its load balancer. */
  heard(slot: string, latest: Latest, now: number): void {
    const before = this.latest.get(slot);
    this.latest.set(slot, latest);
    if (!before || before.dpEpoch === latest.dpEpoch) return;
    this.formers = this.formers.filter((f) => f.until > now);
    const { pool, instance } = before;
    const servers = before.servers();
    if ([...servers.values()].some((s) => s.flows > 0)) this.formers.push({ pool, instance, servers, until: now + this.drainMs });
  }

  /** A load balancer that is not let in: it obeys no order, and what it said last is no longer heard. */
  refused(who: string, latest: Latest, now: number): void {
    for (const [other, r] of this.refusals) if (r.until <= now) this.refusals.delete(other);
    this.refusals.set(who, { ...latest, until: now + REFUSED_MS });
  }

  /** `slots`: all that have the pool, as far as is known, and whether their frames come here now. */
  of(pool: string, slots: ReadonlyMap<string, boolean>, now: number): LoadBalancerFlows[] {
    for (const [slot, l] of this.latest) if (l.pool === pool && !slots.has(slot)) this.latest.delete(slot);
    const all = [...this.latest].filter(([, l]) => l.pool === pool);
    const out = all.map(([slot, l]) => this.one(l, slots.get(slot) === true, now));
    for (const [who, r] of this.refusals) if (r.pool === pool && r.until > now) out.push(unheard(who, r));
    return out.sort((a, b) => (a.instance < b.instance ? -1 : 1));
  }

  private one(l: Latest, heard: boolean, now: number): LoadBalancerFlows {
    const servers = l.servers();
    const flows = new Map<string, number>();
    const unknown = new Map<string, string>();
    for (const [address, s] of servers) {
      if (heard) flows.set(address, s.flows);
      else unknown.set(address, `${l.instance} is away; it had ${s.flows}`);
    }
    for (const f of this.formers) {
      if (f.until <= now || f.pool !== l.pool || f.instance !== l.instance) continue;
      for (const [address, s] of f.servers)
        if (s.flows > 0) unknown.set(address, `${l.instance}: its former data plane had ${s.flows}, and may drain`);
    }
    return { instance: l.instance, heard, flows, unknown };
  }
}

function unheard(who: string, { instance, servers }: Latest): LoadBalancerFlows {
  const why = (flows: number): string => `another load balancer named ${instance} (${who}) is refused; it had ${flows}`;
  const unknown = new Map([...servers()].map(([address, s]) => [address, why(s.flows)]));
  return { instance: `${instance} (${who})`, heard: false, flows: new Map(), unknown };
}

export interface Count {
  flows: number;
  /** Empty: that is all. */
  unknown: string;
}

/** Of one server, over load balancers. `expected`: how many have the pool. */
export function countOf(all: readonly LoadBalancerFlows[], address: string, expected: number): Count {
  const reasons = all.flatMap((l) => l.unknown.get(address) ?? []);
  const missing = expected - all.length;
  if (missing > 0) reasons.push(`${missing} of ${expected} load balancers ${missing === 1 ? "is" : "are"} not known here`);
  return { flows: all.reduce((sum, l) => sum + (l.flows.get(address) ?? 0), 0), unknown: reasons.join("; ") };
}
