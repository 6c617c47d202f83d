// SPDX-License-Identifier: Apache-2.0
// All replicas of a service, one by one. gRPC balances calls: a stream that lasts stays with one replica. What every replica must hear,
// or say, needs a stream to each.
import { promises as dns } from "node:dns";
import { isIP } from "node:net";
import type { ClientOptions } from "@grpc/grpc-js";
import { formatHostPort, parseHostPort } from "../config/address.js";
import type { Timers } from "../stream.js";
import { clientOptions } from "./channel.js";

/** Names are asked for again after this. */
export const RESOLVE_MS = 5000;
const DEFAULT_PORT = 443; // gRPC's own

/** What a target of gRPC means: addresses as they stand, a name to ask for, or one place that needs no resolving. */
export type Named = { addresses: string[] } | { host: string; port: number; server: string };

export function parseTarget(target: string): Named {
  const fixed = /^ipv[46]:(.+)$/.exec(target);
  if (fixed) return { addresses: (fixed[1] as string).split(",") };
  const name = /^(?:dns:(?:\/\/([^/]*)\/)?)?([^/]+)$/.exec(target);
  if (!name) return { addresses: [target] };
  const [, server = "", text = ""] = name;
  const hp = parseHostPort(text) ?? parseHostPort(`${text}:${DEFAULT_PORT}`);
  if (!hp) return { addresses: [target] };
  return isIP(hp.host) === 0 ? { ...hp, server } : { addresses: [formatHostPort(hp.host, hp.port)] };
}

/** The addresses behind a name, as the system knows it, or as the DNS server that the target names says. */
export async function resolveHost(host: string, server: string): Promise<string[]> {
  if (server === "") return (await dns.lookup(host, { all: true })).map((a) => a.address);
  const resolver = new dns.Resolver();
  resolver.setServers([server]);
  const both = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = both.flatMap((r) => (r.status === "fulfilled" ? r.value : []));
  if (found.length === 0) throw (both[0] as PromiseRejectedResult).reason;
  return found;
}

/** Of a client that dials an address found by name: it must meet the certificate of the name. */
export const namedOptions = (host: string, port: number): ClientOptions => ({
  ...clientOptions,
  "grpc.default_authority": formatHostPort(host, port),
  "grpc.ssl_target_name_override": host,
});

export interface ReplicasOptions<T> {
  target: string;
  /** A replica came. `options` are a client's, who must meet the certificate of the name and not of the address. */
  open(address: string, options: ClientOptions): T;
  /** A replica is no more among the addresses of the name. */
  close(replica: T, address: string): void;
  failed(reason: string): void;
  timers: Timers;
  resolve?: (host: string, server: string) => Promise<string[]>;
}

export class Replicas<T> {
  readonly #o: ReplicasOptions<T>;
  readonly #all = new Map<string, T>();
  readonly #named: Named;
  #timer: unknown = null;
  #closed = false;

  constructor(o: ReplicasOptions<T>) {
    this.#o = o;
    this.#named = parseTarget(o.target);
    if ("addresses" in this.#named) this.#become(this.#named.addresses, clientOptions);
    else void this.#resolve(this.#named);
  }

  /** By address. */
  get all(): ReadonlyMap<string, T> {
    return this.#all;
  }

  close(): void {
    this.#closed = true;
    this.#o.timers.clearTimeout(this.#timer);
    this.#become([], clientOptions);
  }

  async #resolve(named: { host: string; port: number; server: string }): Promise<void> {
    const { host, port, server } = named;
    try {
      const found = await (this.#o.resolve ?? resolveHost)(host, server);
      if (this.#closed) return;
      this.#become(
        found.map((a) => formatHostPort(a, port)),
        namedOptions(host, port),
      );
    } catch (e) {
      // Those that were there may still be: a name server that is away ends no stream.
      if (!this.#closed) this.#o.failed((e as Error).message);
    }
    if (!this.#closed) this.#timer = this.#o.timers.setTimeout(() => void this.#resolve(named), RESOLVE_MS);
  }

  #become(addresses: readonly string[], options: ClientOptions): void {
    const wanted = new Set(addresses);
    for (const [address, replica] of this.#all) {
      if (wanted.has(address)) continue;
      this.#all.delete(address);
      this.#o.close(replica, address);
    }
    for (const address of wanted) if (!this.#all.has(address)) this.#all.set(address, this.#o.open(address, options));
  }
}
