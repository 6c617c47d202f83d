// SPDX-License-Identifier: Apache-2.0
// etcd, for several replicas: a pool is one key; a write succeeds only on top of the revision that was read.
import { Etcd3 } from "etcd3";
import type { PoolState } from "./pool.js";
import { asPoolState, type Store } from "./store.js";

const TIMEOUT_MS = 2000;

export function etcdStore(endpoints: readonly string[], prefix: string, warn: (message: string) => void): Store {
  const client = new Etcd3({
    hosts: endpoints.map((e) => (/^https?:\/\//.test(e) ? e : `http://${e}`)),
    dialTimeout: TIMEOUT_MS,
    defaultCallOptions: () => ({ deadline: Date.now() + TIMEOUT_MS }),
  });
  const keyOf = (name: string): string => `${prefix}pools/${name}`;
  const revisions = new Map<string, string>();
  let changed: (pool: PoolState) => void = () => {};
  let removed: (name: string) => void = () => {};
  let watcher: { cancel(): Promise<void> } | null = null;

  const parse = (text: string): PoolState | null => {
    try {
      return asPoolState(JSON.parse(text));
    } catch {
      return null;
    }
  };
  const read = async (name: string): Promise<PoolState | null> => {
    const response = await client.get(keyOf(name)).exec();
    const kv = response.kvs[0];
    revisions.set(name, kv ? kv.mod_revision : "0");
    return kv ? parse(kv.value.toString()) : null;
  };

  return {
    async load() {
      const response = await client.getAll().prefix(`${prefix}pools/`).exec();
      const pools: PoolState[] = [];
      for (const kv of response.kvs) {
        const pool = parse(kv.value.toString());
        if (pool) {
          revisions.set(pool.name, kv.mod_revision);
          pools.push(pool);
        } else {
          warn(`etcd key ${kv.key.toString()} is not a pool and was left out`);
        }
      }
      const w = await client.watch().prefix(`${prefix}pools/`).create();
      watcher = w;
      w.on("put", (kv) => {
        const pool = parse(kv.value.toString());
        if (!pool) return;
        revisions.set(pool.name, kv.mod_revision);
        changed(pool);
      });
      w.on("delete", (kv) => {
        const name = kv.key.toString().slice(keyOf("").length);
        // Our own removal is told of too.
        if (revisions.delete(name)) removed(name);
      });
      w.on("error", (e) => warn(`etcd watch: ${e.message}`));
      return pools;
    },
    async save(pool) {
      const revision = revisions.get(pool.name) ?? "0";
      const result = await client
        .if(keyOf(pool.name), "Mod", "==", Number(revision))
        .then(client.put(keyOf(pool.name)).value(JSON.stringify(pool)))
        .commit();
      if (result.succeeded) {
        revisions.set(pool.name, result.header.revision);
        return pool;
      }
      // Another replica wrote first: its order stands, ours is judged anew on top of it.
      return (await read(pool.name)) ?? pool;
    },
    async remove(name) {
      revisions.delete(name);
      await client.delete().key(keyOf(name)).exec();
    },
    onChange(onChanged, onRemoved) {
      changed = onChanged;
      removed = onRemoved;
    },
    async close() {
      await watcher?.cancel().catch(() => {});
      client.close();
    },
  };
}
