// SPDX-License-Identifier: Apache-2.0
// One JSON file, replaced whole by rename, so that a reader or a crash sees the old or the new one.
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { PoolState } from "./pool.js";
import { asPoolState, type Store } from "./store.js";

/** A write that failed is tried again so often, until one succeeds: the next order may be days away. */
const RETRY_MS = 5000;

/** `failed`: a try of its own that failed too; a save's first one is the caller's. */
export function fileStore(
  path: string,
  warn: (message: string) => void,
  failed: (e: unknown) => void = () => {},
  retryMs = RETRY_MS,
): Store {
  const pools = new Map<string, PoolState>();
  let writing: Promise<void> | null = null;
  let dirty = false;
  let retry: NodeJS.Timeout | null = null;

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

  /** Writes what is dirty; one writer at a time. Rejects when it cannot, and then goes on trying by itself. */
  const flush = (): Promise<void> => {
    if (retry) clearTimeout(retry);
    retry = null;
    writing ??= write().then(
      () => {
        writing = null;
        // A change between the writer's last look and now.
        return dirty ? flush() : undefined;
      },
      (e: unknown) => {
        writing = null;
        dirty = true;
        retry = setTimeout(() => {
          flush().then(() => warn(`${path} can be written again`), failed);
        }, retryMs);
        throw e;
      },
    );
    return writing;
  };
  // Pools are adopted from frames again: starting empty is better than not starting.
  const setAside = async (why: string): Promise<void> => {
    const kept = `${path}.bad`;
    const moved = await rename(path, kept).then(
      () => `kept as ${kept}`,
      (e: Error) => `and cannot be moved away: ${e.message}`,
    );
    warn(`${path} cannot be read (${why}); ${moved}, starting empty`);
  };

  return {
    async load() {
      let text: string;
      try {
        text = await readFile(path, "utf8");
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code !== "ENOENT") await setAside((e as Error).message);
        return [];
      }
      try {
        const list = (JSON.parse(text) as { pools?: unknown[] }).pools ?? [];
        for (const value of list) {
          const pool = asPoolState(value);
          if (pool) pools.set(pool.name, pool);
          else warn(`${path}: an entry is not a pool and was left out`);
        }
      } catch (e) {
        pools.clear();
        await setAside((e as Error).message);
      }
      return [...pools.values()];
    },
    async save(pool) {
      pools.set(pool.name, pool);
      dirty = true;
      await flush();
      return pool;
    },
    async remove(name) {
      if (!pools.delete(name)) return;
      dirty = true;
      await flush();
    },
    onChange() {},
    async close() {
      if (retry || writing) await flush().catch(() => {});
      if (retry) clearTimeout(retry);
    },
  };
}
