// SPDX-License-Identifier: Apache-2.0
// etcd, for several replicas: a pool's intent is one key, each operation of its history another. A write is a transaction that succeeds only
// on top of the revision that was read.
import { Etcd3, type IOptions, type Watcher } from "etcd3";
import { asChange, asIntent, type Change, HISTORY_LIMIT } from "./intent.js";
import type { Commit, Store, Stored, StoreListener } from "./store.js";

/** A call that takes longer counts as unanswered. */
const CALL_MS = 1500;
const LOGIN_MS = 10_000;
/** So often the store is asked whether it still answers, and whether the watch missed something. */
const LOOK_MS = 500;
const AGAIN_MS = 200;
/** Of a version in a key: etcd sorts bytes. */
const DIGITS = 16;

export interface EtcdOptions {
  endpoints: readonly string[];
  prefix: string;
  username?: string;
  password?: string;
  tls?: { ca: Buffer; cert?: Buffer; key?: Buffer };
}

/** Calls as they are: what is tried again, and where, is decided here. */
const straight = { execute: async (call: (context: object) => unknown) => call({}) };
type FaultHandling = NonNullable<IOptions["faultHandling"]>;

function clientOf(endpoint: string, o: EtcdOptions): Etcd3 {
  const policy = straight as unknown as NonNullable<FaultHandling["global"]>;
  return new Etcd3({
    hosts: [/^https?:\/\//.test(endpoint) ? endpoint : `${o.tls ? "https" : "http"}://${endpoint}`],
    dialTimeout: CALL_MS,
    // A login costs etcd a tenth of a second of one core, by intent.
    defaultCallOptions: (c) => (c.isStream ? {} : { deadline: Date.now() + (c.service === "Auth" ? LOGIN_MS : CALL_MS) }),
    faultHandling: { global: policy, host: () => policy },
    grpcOptions: { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 500 },
    ...(o.username !== undefined && { auth: { username: o.username, password: o.password ?? "" } }),
    ...(o.tls && {
      credentials: {
        rootCertificate: o.tls.ca,
        ...(o.tls.cert && o.tls.key && { certChain: o.tls.cert, privateKey: o.tls.key }),
      },
    }),
  });
}

export function etcdStore(o: EtcdOptions, warn: (message: string) => void): Store {
  return new EtcdStore(
    o.endpoints.map((endpoint) => ({ endpoint, client: clientOf(endpoint, o) })),
    o.prefix,
    warn,
  );
}

interface Endpoint {
  endpoint: string;
  client: Etcd3;
}

type KeyValue = { key: Buffer; value: Buffer; mod_revision: string };

class EtcdStore implements Store {
  private readonly intents: string;
  private readonly histories: string;
  /** The first of `endpoints` is asked; one that fails becomes the last. */
  private endpoints: Endpoint[];
  /** Newest revision of a record that was heard. */
  private heard = 0n;
  private closed = false;
  private stopWaiting: () => void = () => {};
  private following: Promise<void> = Promise.resolve();

  constructor(
    endpoints: readonly Endpoint[],
    prefix: string,
    private readonly warn: (message: string) => void,
  ) {
    this.endpoints = [...endpoints];
    this.intents = `${prefix}intent/`;
    this.histories = `${prefix}history/`;
  }

  follow(listener: StoreListener): void {
    this.following = this.run(listener);
  }

  async read(pool: string): Promise<Stored | null> {
    const { kvs } = await this.ask((client) => client.get(this.intentKey(pool)).exec());
    return kvs[0] ? this.parse(kvs[0]) : null;
  }

  async commit(c: Commit): Promise<string | null> {
    const { pool, version } = c.intent;
    const key = this.intentKey(pool);
    const range = { start: this.changeKey(pool, 0), end: this.changeKey(pool, Math.max(0, version - HISTORY_LIMIT + 1)) };
    // Asked once: a second try could not tell its own first one from another replica's.
    const result = await this.askFirst((client) =>
      client
        .if(key, "Mod", "==", Number(c.mark ?? 0))
        .then(
          client.put(key).value(JSON.stringify(c.intent)),
          ...c.changes.map((ch) => client.put(this.changeKey(pool, ch.version)).value(JSON.stringify(ch))),
          client.delete().inRange(range),
        )
        .commit(),
    );
    return result.succeeded ? result.header.revision : null;
  }

  async history(pool: string, limit: number): Promise<Change[]> {
    const range = { start: this.changeKey(pool, 0), end: this.changeKey(pool, Number.MAX_SAFE_INTEGER) };
    const { kvs } = await this.ask((client) => client.getAll().inRange(range).sort("Key", "Descend").limit(limit).exec());
    return kvs.flatMap((kv) => jsonOf(kv.value, asChange) ?? []);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.stopWaiting();
    for (const { client } of this.endpoints) client.close();
    await this.following;
  }

  private intentKey(pool: string): string {
    return `${this.intents}${pool}`;
  }

  private changeKey(pool: string, version: number): string {
    // The name's length first: no pool's keys lie among another's.
    return `${this.histories}${pool.length}/${pool}/${String(version).padStart(DIGITS, "0")}`;
  }

  private parse(kv: KeyValue): Stored | null {
    const intent = jsonOf(kv.value, asIntent);
    if (intent && this.intentKey(intent.pool) === kv.key.toString()) return { intent, mark: kv.mod_revision };
    this.warn(`etcd key ${kv.key.toString()} is no pool's record: the pool counts as without orders`);
    return null;
  }

  /** Reads all, then hears of changes until word may have been missed; and again. */
  private async run(listener: StoreListener): Promise<void> {
    while (!this.closed) {
      try {
        const from = await this.list(listener);
        const reason = await this.watch(listener, from);
        if (!this.closed) listener.lost(reason);
      } catch (e) {
        if (this.closed) return;
        listener.away(`etcd: ${(e as Error).message}`);
        await this.wait(AGAIN_MS);
      }
    }
  }

  private async list(listener: StoreListener): Promise<string> {
    const { kvs, header } = await this.ask((client) => client.getAll().prefix(this.intents).exec());
    this.heard = BigInt(header.revision);
    listener.listed(kvs.flatMap((kv) => this.parse(kv) ?? []));
    return header.revision;
  }

  /** Resolves with the reason when the watch cannot be relied on any more. */
  private async watch(listener: StoreListener, from: string): Promise<string> {
    let lost: string | null = null;
    const end = (reason: string): void => {
      lost ??= reason;
      this.stopWaiting();
    };
    const { client, endpoint } = this.endpoints[0] as Endpoint;
    const next = (BigInt(from) + 1n).toString();
    const w: Watcher = client.watch().prefix(this.intents).startRevision(next).watcher();
    w.on("put", (kv) => {
      this.heard = BigInt(kv.mod_revision);
      const stored = this.parse(kv);
      if (stored) listener.put(stored);
    });
    w.on("delete", () => end("etcd: a record was deleted"));
    const failed = (e: Error): void => end(`etcd watch at ${endpoint}: ${e.message}`);
    w.on("error", failed).on("disconnected", failed);
    w.on("end", () => end(`etcd watch at ${endpoint}: ended`));
    try {
      // A partition leaves a watch that is silent: only asking finds it.
      for (let suspect = 0n; lost === null && !this.closed; ) {
        await this.wait(LOOK_MS);
        if (lost !== null || this.closed) break;
        if (suspect > this.heard) end(`etcd watch at ${endpoint}: a change was not told`);
        suspect = await this.newest();
      }
      return lost ?? "closed";
    } finally {
      w.cancel().catch(() => {});
    }
  }

  /** Revision of the newest record, whether or not it was heard; 0 = there is none newer. Rejects where etcd does not answer. */
  private async newest(): Promise<bigint> {
    const unheard = (this.heard + 1n).toString();
    const { kvs } = await this.ask((client) => client.getAll().prefix(this.intents).minModRevision(unheard).exec());
    return kvs.reduce((most, kv) => (BigInt(kv.mod_revision) > most ? BigInt(kv.mod_revision) : most), 0n);
  }

  /** Of whichever endpoint answers. */
  private async ask<T>(call: (client: Etcd3) => Promise<T>): Promise<T> {
    for (let left = this.endpoints.length; ; left--) {
      try {
        return await this.askFirst(call);
      } catch (e) {
        if (left <= 1) throw e;
      }
    }
  }

  private async askFirst<T>(call: (client: Etcd3) => Promise<T>): Promise<T> {
    const first = this.endpoints[0] as Endpoint;
    try {
      return await call(first.client);
    } catch (e) {
      if (this.endpoints[0] === first) this.endpoints = [...this.endpoints.slice(1), first];
      throw new Error(`${first.endpoint}: ${inWords((e as Error).message)}`);
    }
  }

  private wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.stopWaiting = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** grpc-js has no words for a connection that the other end closes in the handshake. */
function inWords(message: string): string {
  const [, last] = /No connection established\. Last error: (.*?)\.? Resolution note:/s.exec(message) ?? [];
  if (last === undefined) return message;
  const closed = last.trim() === "null" || last.trim() === "" || last.startsWith("Failed to connect");
  if (!closed) return `no connection: ${last.trim()}`;
  return "no connection: it was closed at once; etcd may want TLS, or a client's certificate (failover.store.tls)";
}

function jsonOf<T>(bytes: Buffer, check: (value: unknown) => T | null): T | null {
  try {
    return check(JSON.parse(bytes.toString()));
  } catch {
    return null;
  }
}
