// SPDX-License-Identifier: Apache-2.0
// Pools that follow a name or a file (vips[].discover). What is found is an observation of this replica, no order of an operator.
import { type HostPort, parseHostPort } from "../../common/config/address.js";
import type { Config } from "../../common/config/load.js";
import { loopOf } from "../../common/config/own.js";
import type { Logger } from "../../common/log.js";
import type { Timers } from "../../common/stream.js";
import { MAX_SERVERS } from "../messages.js";
import { watchTargets } from "./file-sd.js";
import { distinct, type Found } from "./found.js";
import { Holding } from "./holding.js";
import { byAddress, byService, follow } from "./names.js";
import { type Ask, resolver } from "./resolver.js";

type Vip = Pick<Config["vips"][number], "name" | "address" | "protocol" | "servers" | "discover">;
type Discover = NonNullable<Vip["discover"]>;

/** How it stands with one pool. */
export interface Discovered {
  /** What is followed: "srv _http._tcp.web.svc". */
  from: string;
  /** In the list that holds. */
  servers: number;
  /** When the last list came that could be taken; null = none yet. */
  atUnixMs: number | null;
  /** Why the newest one is not taken, or not wholly; empty = it is. */
  problem: string;
}

export interface DiscoveryOptions {
  vips: readonly Vip[];
  timers: Timers;
  unixMs(): number;
  log: Pick<Logger, "info" | "warn">;
  found(pool: string, servers: readonly Found[]): void;
  resolver?: (server: string) => Ask;
}

export const fromText = ({ dns, srv, file }: Discover): string =>
  dns !== undefined ? `dns ${dns}` : srv !== undefined ? `srv ${srv}` : `file ${file}`;

export class Discovery {
  readonly #stops: (() => void)[] = [];
  readonly #pools = new Map<string, Discovered>();
  readonly #addresses = new Map<string, readonly string[]>();

  constructor(private readonly o: DiscoveryOptions) {
    for (const vip of o.vips) {
      if (!vip.discover) continue;
      this.#pools.set(vip.name, { from: fromText(vip.discover), servers: 0, atUnixMs: null, problem: "nothing was found yet" });
      this.#stops.push(this.#follow(vip, vip.discover));
    }
  }

  /** By pool. */
  get pools(): ReadonlyMap<string, Readonly<Discovered>> {
    return this.#pools;
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  #follow(vip: Vip, d: Discover): () => void {
    const failed = (reason: string): void => this.#problem(vip.name, reason);
    if (d.file !== undefined) return watchTargets(d.file, (list) => this.#answer(vip, distinct(list), true), failed);
    const { timers } = this.o;
    const changed = (list: Found[], fresh: boolean): void => this.#answer(vip, distinct(list), fresh);
    const holding = new Holding({ timers, holdMs: d.hold_ms, changed });
    const ask = (this.o.resolver ?? resolver)(d.server);
    const { srv, family } = d;
    const stop = follow({
      ask: () =>
        srv !== undefined ? byService(ask, srv, family) : byAddress(ask, parseHostPort(d.dns as string) as HostPort, family),
      timers,
      minMs: d.min_ttl_ms,
      maxMs: d.max_ttl_ms,
      found: (list) => (list.length === 0 ? this.#answer(vip, [], true) : holding.take(distinct(list))),
      failed,
    });
    return () => {
      stop();
      holding.stop();
    };
  }

  /** `fresh`: the answer came just now. What is merely over ends no problem. */
  #answer(vip: Vip, all: readonly Found[], fresh: boolean): void {
    const serversOf = (v: Vip): readonly string[] => this.#addresses.get(v.name) ?? v.servers.map((s) => s.address);
    const vips = this.o.vips.map((v) => ({ ...v, servers: serversOf(v) }));
    const of = vips.find((v) => v.name === vip.name) as (typeof vips)[number];
    const loops: string[] = [];
    const good: Found[] = [];
    for (const server of all) {
      const loop = loopOf(vips, of, server.address);
      if (loop === null) good.push(server);
      else loops.push(loop);
    }
    // An answer without servers is no order to have none: a pool is not emptied by a slip in a zone.
    if (good.length === 0) {
      this.#problem(vip.name, loops[0] ?? "no servers are there");
      return;
    }
    const servers = good.slice(0, MAX_SERVERS);
    const now = this.#of(vip.name);
    now.servers = servers.length;
    if (fresh) now.atUnixMs = this.o.unixMs();
    if (loops.length > 0) this.#problem(vip.name, `left out: ${loops[0]}`);
    else if (good.length > MAX_SERVERS)
      this.#problem(vip.name, `${good.length} servers are there, the first ${MAX_SERVERS} are taken`);
    else if (fresh) now.problem = "";
    this.#say(vip.name, servers);
    this.o.found(vip.name, servers);
  }

  #of(pool: string): Discovered {
    return this.#pools.get(pool) as Discovered;
  }

  /** Said once; what was found before stands. */
  #problem(pool: string, problem: string): void {
    const now = this.#of(pool);
    if (now.problem === problem) return;
    now.problem = problem;
    const { from, servers } = now;
    this.o.log.warn({ pool, from, servers, reason: problem }, "servers are not found, or not all: what was found before stands");
  }

  #say(pool: string, servers: readonly Found[]): void {
    const before = new Set(this.#addresses.get(pool));
    const after = servers.map((s) => s.address);
    this.#addresses.set(pool, after);
    const added = after.filter((a) => !before.delete(a));
    if (added.length === 0 && before.size === 0) return;
    this.o.log.info({ pool, from: this.#of(pool).from, servers: after.length, added, removed: [...before] }, "servers found");
  }
}
