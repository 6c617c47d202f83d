// SPDX-License-Identifier: Apache-2.0
// One JSON file, replaced whole by rename, so that a reader or a crash sees the old or the new one.
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { PoolState } from "./pool.js";
import { asPoolState, type Store } from "./store.js";

export function fileStore(path: string, warn: (message: string) => void): Store {
  const pools = new Map<string, PoolState>();
  let writing: Promise<void> | null = null;
  let dirty = false;

  const write = async (): Promise<void> => {
    // Changes that come while the disk is busy go out together.
    while (dirty) {
      dirty = false;
      await mkdir(dirname(path), { recursive: true });
      const tmp = `${path}.${process.pid}.tmp`;
      try {
        const file = await open(tmp, "w", 0o600);
        try {
          await file.writeFile(`${JSON.stringify({ version: 1, pools: [...pools.values()] }, null, 1)}\n`);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(tmp, path);
      } catch (e) {
        await rm(tmp, { force: true });
        throw e;
      }
    }
  };

  return {
    async load() {
      let text: string;
      try {
        text = await readFile(path, "utf8");
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code === "ENOENT") return [];
        throw e;
      }
      try {
        const list = (JSON.parse(text) as { pools?: unknown[] }).pools ?? [];
        for (const value of list) {
          const pool = asPoolState(value);
          if (pool) pools.set(pool.name, pool);
          else warn(`${path}: an entry is not a pool and was left out`);
        }
      } catch (e) {
        // Pools are adopted from frames again: starting empty is better than not starting.
        const kept = `${path}.bad`;
        await rename(path, kept);
        warn(`${path} cannot be read (${(e as Error).message}); kept as ${kept}, starting empty`);
      }
      return [...pools.values()];
    },
    async save(pool) {
      pools.set(pool.name, pool);
      dirty = true;
      writing ??= write().finally(() => {
        writing = null;
      });
      await writing;
      return pool;
    },
    onChange() {},
    async close() {
      await writing?.catch(() => {});
    },
  };
}
