// SPDX-License-Identifier: Apache-2.0
// A folder with one JSON file a pool: its intent and its history. A file is replaced whole by rename, between two syncs, so that whatever
// dies, even the machine, leaves the old or the new one, and what was answered OK is the new one.
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { FolderInUse, lockFolder } from "./folder-lock.js";
import { asChange, asIntent, type Change, HISTORY_LIMIT, type Intent } from "./intent.js";
import { type Commit, NotTaken, type Store, type Stored, type StoreListener } from "./store.js";

interface Entry {
  intent: Intent;
  history: Change[];
}

/** A folder that cannot be read at the start is tried again so often. */
const RETRY_MS = 1000;

const SUFFIX = ".json";
/** Of a pool whose name may hold any character. */
const fileOf = (pool: string): string => `${encodeURIComponent(pool)}${SUFFIX}`;
const markOf = (e: Entry): string => String(e.intent.version);

/** Throws where another process has the folder. One that cannot be used yet is tried again. */
export function fileStore(folder: string, warn: (message: string) => void, retryMs = RETRY_MS): Store {
  const store = new FileStore(folder, warn, retryMs);
  store.lock();
  return store;
}

class FileStore implements Store {
  private readonly entries = new Map<string, Entry>();
  /** One writer at a time: files of one folder are synced together with it. */
  private last: Promise<unknown> = Promise.resolve();
  private retry: NodeJS.Timeout | null = null;
  private closed = false;
  private loaded = false;
  private unlock: (() => void) | null = null;

  constructor(
    private readonly folder: string,
    private readonly warn: (message: string) => void,
    private readonly retryMs: number,
  ) {}

  follow(listener: StoreListener): void {
    this.load().then(
      () => {
        this.loaded = true;
        listener.listed([...this.entries.values()].map((e) => ({ intent: e.intent, mark: markOf(e) })));
      },
      (e: Error) => {
        listener.away(`${this.folder}: ${e.message}`);
        if (!this.closed) this.retry = setTimeout(() => this.follow(listener), this.retryMs);
      },
    );
  }

  lock(): void {
    try {
      this.unlock ??= lockFolder(this.folder);
    } catch (e) {
      if (e instanceof FolderInUse) throw e;
    }
  }

  async read(pool: string): Promise<Stored | null> {
    this.needLoaded();
    const e = this.entries.get(pool);
    return e ? { intent: e.intent, mark: markOf(e) } : null;
  }

  commit(c: Commit): Promise<string | null> {
    const done = this.last.then(() => this.write(c));
    this.last = done.catch(() => {});
    return done;
  }

  async history(pool: string, limit: number): Promise<Change[]> {
    this.needLoaded();
    return (this.entries.get(pool)?.history ?? []).slice(0, limit);
  }

  async close(): Promise<void> {
    this.closed = true;
    if (this.retry) clearTimeout(this.retry);
    await this.last;
    this.unlock?.();
  }

  private needLoaded(): void {
    if (!this.loaded) throw new Error(`${this.folder} is not read yet`);
  }

  private async write(c: Commit): Promise<string | null> {
    this.needLoaded();
    const { pool } = c.intent;
    const before = this.entries.get(pool);
    if ((before ? markOf(before) : null) !== c.mark) return null;
    const history = [...[...c.changes].reverse(), ...(before?.history ?? [])].slice(0, HISTORY_LIMIT);
    const entry: Entry = { intent: c.intent, history };
    await replaceFile(this.folder, fileOf(pool), `${JSON.stringify({ version: 1, ...entry })}\n`);
    this.entries.set(pool, entry);
    return markOf(entry);
  }

  private async load(): Promise<void> {
    this.entries.clear();
    const found = await stat(this.folder).catch(() => null);
    if (found !== null && !found.isDirectory()) throw new Error("expected a folder (failover.store.path), found a file");
    this.unlock ??= lockFolder(this.folder);
    for (const name of await readdir(this.folder)) {
      if (!name.endsWith(SUFFIX)) continue;
      const path = join(this.folder, name);
      const entry = parse(await readFile(path, "utf8"));
      if (entry !== null && fileOf(entry.intent.pool) === name) this.entries.set(entry.intent.pool, entry);
      else await this.setAside(path);
    }
  }

  /** Nothing that we wrote: the other pools' orders count all the same. */
  private async setAside(path: string): Promise<void> {
    const kept = `${path}.bad`;
    await rename(path, kept);
    this.warn(`${path} is no pool's record and was kept as ${kept}; the pool begins without orders`);
  }
}

function parse(text: string): Entry | null {
  try {
    const value = JSON.parse(text) as { intent?: unknown; history?: unknown } | null;
    const intent = asIntent(value?.intent);
    const history = Array.isArray(value?.history) ? value.history.map(asChange) : [];
    return intent && history.every((h) => h !== null) ? { intent, history } : null;
  } catch {
    return null;
  }
}

/** Durable when it resolves. */
async function replaceFile(folder: string, name: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tmp = join(folder, `${name}.tmp`);
  try {
    const file = await open(tmp, "w", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(tmp, join(folder, name));
  } catch (e) {
    await rm(tmp, { force: true });
    throw new NotTaken((e as Error).message);
  }
  // The name is part of the folder, which has a cache of its own.
  const dir = await open(folder, "r");
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}
