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
  return new FileStore(path, warn, failed, retryMs);
}

class FileStore implements Store {
  private readonly pools = new Map<string, PoolState>();
  private writing: Promise<void> | null = null;
  private dirty = false;
  private retry: NodeJS.Timeout | null = null;

  constructor(
    private readonly path: string,
    private readonly warn: (message: string) => void,
    private readonly failed: (e: unknown) => void,
    private readonly retryMs: number,
  ) {}

  async load(): Promise<PoolState[]> {
    let text: string;
    try {
      text = await readFile(this.path, "utf8");
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== "ENOENT") await this.setAside((e as Error).message);
      return [];
    }
    try {
      const list = (JSON.parse(text) as { pools?: unknown[] }).pools ?? [];
      for (const value of list) {
        const pool = asPoolState(value);
        if (pool) this.pools.set(pool.name, pool);
        else this.warn(`${this.path}: an entry is not a pool and was left out`);
      }
    } catch (e) {
      this.pools.clear();
      await this.setAside((e as Error).message);
    }
    return [...this.pools.values()];
  }

  async save(pool: PoolState): Promise<PoolState> {
    this.pools.set(pool.name, pool);
    this.dirty = true;
    await this.flush();
    return pool;
  }

  async remove(name: string): Promise<void> {
    if (!this.pools.delete(name)) return;
    this.dirty = true;
    await this.flush();
  }

  onChange(): void {}

  async close(): Promise<void> {
    if (this.retry || this.writing) await this.flush().catch(() => {});
    if (this.retry) clearTimeout(this.retry);
  }

  /** Writes what is dirty; one writer at a time. Rejects when it cannot, and then goes on trying by itself. */
  private flush(): Promise<void> {
    if (this.retry) clearTimeout(this.retry);
    this.retry = null;
    this.writing ??= this.writeDirty().then(
      () => {
        this.writing = null;
        // A change between the writer's last look and now.
        return this.dirty ? this.flush() : undefined;
      },
      (e: unknown) => {
        this.writing = null;
        this.dirty = true;
        this.retry = setTimeout(() => {
          this.flush().then(() => this.warn(`${this.path} can be written again`), this.failed);
        }, this.retryMs);
        throw e;
      },
    );
    return this.writing;
  }

  private async writeDirty(): Promise<void> {
    // Changes that come while the disk is busy go out together.
    while (this.dirty) {
      this.dirty = false;
      await mkdir(dirname(this.path), { recursive: true });
      const tmp = `${this.path}.${process.pid}.tmp`;
      try {
        const file = await open(tmp, "w", 0o600);
        try {
          await file.writeFile(`${JSON.stringify({ version: 1, pools: [...this.pools.values()] }, null, 1)}\n`);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(tmp, this.path);
      } catch (e) {
        await rm(tmp, { force: true });
        throw e;
      }
    }
  }

  /** Pools are adopted from frames again: starting empty is better than not starting. */
  private async setAside(why: string): Promise<void> {
    const kept = `${this.path}.bad`;
    const moved = await rename(this.path, kept).then(
      () => `kept as ${kept}`,
      (e: Error) => `and cannot be moved away: ${e.message}`,
    );
    this.warn(`${this.path} cannot be read (${why}); ${moved}, starting empty`);
  }
}
