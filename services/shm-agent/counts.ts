// SPDX-License-Identifier: Apache-2.0
// Live counts shared with the other load balancers of a pool: who they are, and with which key. The exchange itself is native
// (native/counts); it runs beside the tick, and neither waits for the other.
import dns from "node:dns/promises";
import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { canonicalAddress, formatHostPort, parseHostPort } from "../common/config/address.js";
import type { Config } from "../common/config/load.js";
import type { Logger } from "../common/log.js";
import type { CountsFigures, CountsOptions } from "../common/native/counts.js";
import type { Timers } from "../common/stream.js";

/** Names are looked up again so often: load balancers come and go. */
const LOOKUP_MS = 30_000;
const MAX_KEYS = 2;
const MIN_KEY = 16;

/** What it needs of the native exchange. */
export interface CountsPort {
  members(addresses: readonly string[]): void;
  figures(): CountsFigures;
  close(): void;
}

export interface SharingOptions {
  config: Config;
  log: Logger;
  timers: Timers;
  open(options: CountsOptions): CountsPort;
  /** All addresses of a name. */
  lookup?(host: string): Promise<string[]>;
}

/** The keys of `counts.key_file`, one a line: the first makes MACs, and the second is believed, too, while one is replaced. */
export function readKeys(file: string): Buffer[] {
  const fail = (why: string): never => {
    throw new Error(`counts.key_file: ${file} ${why}`);
  };
  let text = "";
  try {
    if ((statSync(file).mode & 0o007) !== 0) fail("may be used by everybody on this machine: expected a mode such as 0640");
    text = readFileSync(file, "utf8");
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === undefined) throw e;
    fail(`cannot be read: ${(e as Error).message}`);
  }
  const keys = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => Buffer.from(line));
  if (keys.length < 1 || keys.length > MAX_KEYS) fail(`has ${keys.length} lines: expected a key, or a new and an old one`);
  const short = keys.findIndex((k) => k.length < MIN_KEY);
  if (short >= 0) fail(`has a key of ${keys[short]?.length} bytes in line ${short + 1}: expected at least ${MIN_KEY}`);
  return keys;
}

export class Sharing {
  readonly #o: SharingOptions;
  readonly #port: CountsPort | null;
  #configured: readonly string[];
  /** What failover says, by VIP. */
  readonly #told = new Map<string, readonly string[]>();
  /** The last good answer for each name. */
  #known = new Map<string, readonly string[]>();
  #timer: unknown = null;
  #looking = false;
  #again = false;
  #stopped = false;

  constructor(o: SharingOptions) {
    this.#o = o;
    const { counts, instance, region } = o.config;
    this.#configured = counts.members;
    if (counts.listen === "") {
      this.#port = null;
      return;
    }
    const keys = readKeys(counts.key_file);
    this.#port = o.open({ instance, region: region.path, listen: counts.listen, periodMs: counts.period_ms, keys });
    this.#look();
  }

  /** What the others are to send to; empty where counts are not shared. */
  get address(): string {
    const { listen, address } = this.#o.config.counts;
    return listen === "" ? "" : (address ?? listen);
  }

  get listen(): string {
    return this.#o.config.counts.listen;
  }

  /** Null: counts are not shared. */
  figures(): CountsFigures | null {
    return this.#port?.figures() ?? null;
  }

  /** The configuration's members were read again. */
  configured(members: readonly string[]): void {
    this.#configured = members;
    this.#look();
  }

  /** failover named the other load balancers of a VIP's pool; null: the VIP is gone. */
  told(vip: string, members: readonly string[] | null): void {
    const before = JSON.stringify(this.#told.get(vip) ?? []);
    if (members === null || members.length === 0) this.#told.delete(vip);
    else this.#told.set(vip, members);
    if (JSON.stringify(members ?? []) !== before) this.#look();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) this.#o.timers.clearTimeout(this.#timer);
    this.#port?.close();
  }

  #look(): void {
    if (this.#port === null || this.#stopped) return;
    this.#again = this.#looking;
    if (this.#looking) return;
    this.#looking = true;
    if (this.#timer !== null) this.#o.timers.clearTimeout(this.#timer);
    void this.#resolve().finally(() => {
      this.#looking = false;
      if (this.#stopped) return;
      if (this.#again) this.#look();
      else this.#timer = this.#o.timers.setTimeout(() => this.#look(), LOOKUP_MS);
    });
  }

  async #resolve(): Promise<void> {
    const names = new Set([...this.#configured, ...[...this.#told.values()].flat()]);
    const found = await Promise.all([...names].map(async (name) => [name, await this.#addresses(name)] as const));
    this.#known = new Map(found);
    if (this.#stopped) return;
    const own = canonicalAddress(this.address);
    const all = new Set(found.flatMap(([, addresses]) => addresses.map(canonicalAddress)));
    all.delete(own);
    try {
      this.#port?.members([...all]);
    } catch (e) {
      this.#o.log.error({ err: e }, "counts");
    }
  }

  async #addresses(name: string): Promise<readonly string[]> {
    const hp = parseHostPort(name);
    if (hp === null) {
      this.#o.log.warn({ member: name.slice(0, 100) }, "counts: no address: passed over");
      return [];
    }
    if (isIP(hp.host) !== 0) return [name];
    try {
      const lookup = this.#o.lookup ?? (async (host) => (await dns.lookup(host, { all: true })).map((a) => a.address));
      return (await lookup(hp.host)).map((a) => formatHostPort(a, hp.port));
    } catch (e) {
      const before = this.#known.get(name) ?? [];
      this.#o.log.warn({ member: name, reason: (e as Error).message, kept: before }, "counts: a name cannot be looked up");
      return before;
    }
  }
}
