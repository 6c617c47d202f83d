// SPDX-License-Identifier: Apache-2.0
// Servers by name: A and AAAA records with a port, or SRV records with ports, weights and priorities. Asked for again when the records'
// time to live is over.
import { formatHostPort, type HostPort } from "../../common/config/address.js";
import type { Timers } from "../../common/stream.js";
import type { Found } from "./found.js";
import type { Ask, ServiceRecord } from "./resolver.js";

export interface Answer {
  list: Found[];
  ttlMs: number;
}

export type Family = "any" | "ipv4" | "ipv6";

const FAMILIES = { any: ["A", "AAAA"], ipv4: ["A"], ipv6: ["AAAA"] } as const;
/** Questions at once. */
const AT_ONCE = 16;

async function addresses(ask: Ask, host: string, family: Family): Promise<{ hosts: string[]; ttlMs: number }> {
  // A question that nobody answers fails all of it: one family's servers are not the list.
  const answers = await Promise.all(FAMILIES[family].map((type) => ask(host, type)));
  const some = answers.filter((a) => a.list.length > 0);
  return {
    hosts: some.flatMap((a) => a.list.map((r) => r.address)),
    ttlMs: some.length > 0 ? 1000 * Math.min(...some.map((a) => a.ttl)) : 0,
  };
}

/** "web.svc:8080". */
export async function byAddress(ask: Ask, { host, port }: HostPort, family: Family): Promise<Answer> {
  const { hosts, ttlMs } = await addresses(ask, host, family);
  return { list: hosts.map((h) => ({ address: formatHostPort(h, port), weight: 1, priority: 0 })), ttlMs };
}

/** "_http._tcp.web.svc". A weight of 0 is the least there is (RFC 2782), and of a name with several addresses each has its part. */
export async function byService(ask: Ask, name: string, family: Family): Promise<Answer> {
  const { list: all, ttl } = await ask(name, "SRV");
  // "." as the target, or port 0: the service is decidedly not there.
  const records = all.filter((s) => s.target !== "" && s.target !== "." && s.port !== 0);
  const list: Found[] = [];
  let ttlMs = 1000 * ttl;
  for (let i = 0; i < records.length; i += AT_ONCE) {
    const part = records.slice(i, i + AT_ONCE);
    const found = await Promise.all(part.map((s) => addresses(ask, s.target, family)));
    for (const [k, { hosts, ttlMs: own }] of found.entries()) {
      // A target without an address is one that has just left.
      if (hosts.length > 0) ttlMs = Math.min(ttlMs, own);
      list.push(...serversOf(part[k] as ServiceRecord, hosts));
    }
  }
  return { list, ttlMs };
}

const serversOf = (s: ServiceRecord, hosts: readonly string[]): Found[] =>
  hosts.map((h) => ({
    address: formatHostPort(h, s.port),
    weight: Math.max(1, s.weight) / hosts.length,
    priority: s.priority,
  }));

export interface FollowOptions {
  ask(): Promise<Answer>;
  timers: Timers;
  /** Within these the records' own time to live counts. */
  minMs: number;
  maxMs: number;
  found(list: Found[]): void;
  failed(reason: string): void;
}

/** After an answer that was none, or without servers. */
const AGAIN_MS = 5000;

/** Asks again and again, until it is stopped. */
export function follow(o: FollowOptions): () => void {
  let timer: unknown = null;
  let stopped = false;
  const bounded = (ms: number): number => Math.min(o.maxMs, Math.max(o.minMs, ms));
  const once = async (): Promise<void> => {
    let ms = AGAIN_MS;
    try {
      const answer = await o.ask();
      if (answer.list.length > 0) ms = answer.ttlMs;
      if (!stopped) o.found(answer.list);
    } catch (e) {
      if (!stopped) o.failed((e as Error).message);
    }
    if (!stopped) timer = o.timers.setTimeout(() => void once(), bounded(ms));
  };
  void once();
  return () => {
    stopped = true;
    o.timers.clearTimeout(timer);
  };
}
