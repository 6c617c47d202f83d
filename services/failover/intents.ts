// SPDX-License-Identifier: Apache-2.0
// The newest intent of each pool as far as this replica knows, and the one way to change it: read the newest, modify, write on top of
// exactly that, until it is in the store or the caller hears that it is not.
import { ServiceError } from "../common/grpc/errors.js";
import type { Timers } from "../common/stream.js";
import { type Change, emptyIntent, type Intent, type Stamp, shortened } from "./intent.js";
import type { Operation } from "./operations.js";
import { NotTaken, type Store, type Stored } from "./store.js";

/**
 * starting: nothing was read yet. current: what is stored is heard. relisting: word may have been missed, and is being read again.
 * away: the store does not answer.
 */
export type StoreState = "starting" | "current" | "relisting" | "away";

export interface Done {
  intent: Intent;
  what: string[];
}

export interface IntentsOptions {
  store: Store;
  timers: Timers;
  unixMs(): number;
  /** A name that no other operation has. */
  newId(): string;
  /** An operation of ours is in the store. */
  taken(pool: string, change: Change): void;
  /** A newer intent than the one before, whoever changed it. */
  changed(intent: Intent, before: Intent): void;
  /** Orders may be given again, or no longer. */
  stateChanged(state: StoreState, reason: string): void;
  failed(e: unknown): void;
  /** Where an operation must be in the store by, else its caller is refused. Clients wait for 5 s. */
  withinMs?: number;
}

interface Waiting {
  operation: Operation;
  stamp: Stamp;
  /** Its caller waits no longer. */
  gone(): boolean;
  id: string;
  by: number;
  resolve(done: Done): void;
  reject(e: unknown): void;
}

const WITHIN_MS = 4000;
const PAUSE_MS = 50;
/** Operations of one write: an etcd transaction takes 128 parts. */
const BATCH = 50;
/** Of one pool's record: etcd takes requests of 1.5 MB, and who asks for a pool gets it in one message of 1 MiB. */
const RECORD_BYTES = 700_000;
/** A store that is not read again within this time counts as away: what is known is ordered. */
const RELIST_MS = 1000;

export class Intents {
  state: StoreState = "starting";
  /** Why it is not `current`. */
  reason = "the store was not read yet";
  private readonly known = new Map<string, Intent>();
  private readonly queues = new Map<string, Waiting[]>();
  private relistTimer: unknown = null;
  private everRead = false;
  private closed = false;

  constructor(private readonly o: IntentsOptions) {}

  /** Begins to read. */
  start(): void {
    this.o.store.follow({
      listed: (all) => this.listed(all),
      put: (stored) => this.learn(stored.intent),
      lost: (reason) => this.lost(reason),
      away: (reason) => this.away(reason),
    });
  }

  /** Orders may be made of what is known here. */
  get ordering(): boolean {
    return this.state === "current" || (this.state === "away" && this.everRead);
  }

  get(pool: string): Intent {
    return this.known.get(pool) ?? emptyIntent(pool);
  }

  all(): Intent[] {
    return [...this.known.values()];
  }

  /**
   * Resolves when it is durable; then it is known here too. What nobody waits for any more is not begun: its caller may have ordered
   * something else meanwhile, of another replica.
   */
  operate(pool: string, operation: Operation, stamp: Stamp, gone = (): boolean => false): Promise<Done> {
    return new Promise((resolve, reject) => {
      const by = this.o.timers.now() + (this.o.withinMs ?? WITHIN_MS);
      const waiting: Waiting = { operation, stamp, gone, id: this.o.newId(), by, resolve, reject };
      const queue = this.queues.get(pool);
      if (queue) {
        queue.push(waiting);
        return;
      }
      this.queues.set(pool, [waiting]);
      void this.work(pool);
    });
  }

  /** Reads a pool's record now. */
  async refresh(pool: string): Promise<Intent> {
    const stored = await this.o.store.read(pool);
    if (stored) this.learn(stored.intent);
    return this.get(pool);
  }

  history(pool: string, limit: number): Promise<Change[]> {
    return this.o.store.history(pool, limit).catch((e: unknown) => {
      throw unavailable(e, "nothing is known of its history");
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    this.o.timers.clearTimeout(this.relistTimer);
    await this.o.store.close();
  }

  private listed(all: readonly Stored[]): void {
    this.o.timers.clearTimeout(this.relistTimer);
    for (const { intent } of all) this.learn(intent);
    this.everRead = true;
    const stored = new Map(all.map((s) => [s.intent.pool, s.intent.version]));
    this.become("current", "");
    // A store that lost what it had (a deleted key, an old backup) gets it back from whoever still knows it.
    for (const intent of this.known.values()) {
      if (intent.version > (stored.get(intent.pool) ?? 0)) this.restore(intent).catch((e: unknown) => this.o.failed(e));
    }
  }

  private async restore(intent: Intent): Promise<void> {
    const stored = await this.o.store.read(intent.pool);
    if ((stored?.intent.version ?? 0) >= intent.version) return;
    const what = [`the store had lost versions up to ${intent.version}: written again`];
    const stamp = { by: "failover", reason: "the store holds an older version", at: this.o.unixMs() };
    await this.operate(intent.pool, (newest) => ({ next: newest, what }), stamp);
  }

  private lost(reason: string): void {
    if (this.state !== "current") return;
    this.become("relisting", reason);
    this.relistTimer = this.o.timers.setTimeout(() => this.away(reason), RELIST_MS);
  }

  private away(reason: string): void {
    this.o.timers.clearTimeout(this.relistTimer);
    this.o.failed(new Error(reason));
    this.become(this.everRead ? "away" : "starting", reason);
  }

  private become(state: StoreState, reason: string): void {
    const before = this.state;
    this.reason = reason;
    this.state = state;
    if (before !== state) this.o.stateChanged(state, reason);
  }

  private learn(intent: Intent): void {
    const before = this.get(intent.pool);
    if (intent.version <= before.version) return;
    this.known.set(intent.pool, intent);
    this.o.changed(intent, before);
  }

  /** One pool's operations, in the order of their calls; those that come while the store is busy go out together. */
  private async work(pool: string): Promise<void> {
    const queue = this.queues.get(pool) as Waiting[];
    while (queue.length > 0) await this.settle(pool, queue.splice(0, BATCH));
    this.queues.delete(pool);
  }

  private async settle(pool: string, batch: Waiting[]): Promise<void> {
    let open = batch;
    /** A write got no answer: it may be in the store, or get there yet. */
    let doubt = false;
    while (open.length > 0) {
      let why: unknown = new Error("others wrote first, again and again");
      try {
        const stored = await this.o.store.read(pool);
        if (doubt) open = await this.settled(pool, open, stored);
        else open = awaited(open);
        if (await this.write(pool, open, stored)) return;
      } catch (e) {
        doubt ||= e instanceof InDoubt;
        why = e;
        this.o.failed(e);
      }
      const now = this.o.timers.now();
      const late = open.filter((w) => w.by <= now || this.closed);
      for (const w of late)
        w.reject(unavailable(why, doubt ? "it may have been taken or not: ask for its history" : "nothing was changed"));
      open = open.filter((w) => !late.includes(w));
      if (open.length > 0) await this.pause();
    }
  }

  /** Of operations whose write got no answer: those that are not in the store. */
  private async settled(pool: string, open: Waiting[], stored: Stored | null): Promise<Waiting[]> {
    const taken = new Map((await this.o.store.history(pool, 4 * BATCH)).map((c) => [c.id, c]));
    if (stored) this.learn(stored.intent);
    return open.filter((w) => {
      const change = taken.get(w.id);
      if (!change) return true;
      this.o.taken(pool, change);
      w.resolve({ intent: this.get(pool), what: change.what });
      return false;
    });
  }

  /** One write of what `open` wants. False: another was first. Those that the newest record forbids are refused here and leave `open`. */
  private async write(pool: string, open: Waiting[], stored: Stored | null): Promise<boolean> {
    const known = this.get(pool);
    const read = stored?.intent ?? emptyIntent(pool);
    // Read later than any answer to us: an older one means that the store lost some. What was answered OK stays.
    const base = known.version > read.version ? known : read;
    let intent = base;
    const changes: Change[] = [];
    const done: { w: Waiting; what: string[] }[] = [];
    for (const w of open) {
      try {
        const { next, what } = w.operation(intent);
        if (what.length > 0) {
          requireSmall(next);
          intent = { ...next, version: Math.max(next.version, intent.version + 1) };
          changes.push({ ...w.stamp, version: intent.version, id: w.id, what: shortened(what) });
        }
        done.push({ w, what });
      } catch (e) {
        w.reject(e);
      }
    }
    open.splice(0, open.length, ...done.map((d) => d.w));
    if (changes.length > 0) {
      const mark = await this.o.store.commit({ intent, mark: stored?.mark ?? null, changes }).catch((e: Error) => {
        throw e instanceof NotTaken ? e : new InDoubt(e.message);
      });
      if (mark === null) return false;
    }
    this.learn(intent);
    for (const change of changes) this.o.taken(pool, change);
    for (const { w, what } of done) w.resolve({ intent, what });
    return true;
  }

  private pause(): Promise<void> {
    // Two replicas that met once should not meet again.
    return new Promise((resolve) => this.o.timers.setTimeout(resolve as () => void, PAUSE_MS * (0.2 + Math.random())));
  }
}

/** Refuses the others. */
function awaited(all: readonly Waiting[]): Waiting[] {
  return all.filter((w) => {
    if (!w.gone()) return true;
    w.reject(new ServiceError("ABORTED", "the caller did not wait for it: nothing was changed"));
    return false;
  });
}

function requireSmall(next: Intent): void {
  const bytes = Buffer.byteLength(JSON.stringify(next));
  if (bytes <= RECORD_BYTES) return;
  const size = `its members and orders would take ${bytes} bytes, at most ${RECORD_BYTES} are kept`;
  throw new ServiceError("RESOURCE_EXHAUSTED", `pool ${next.pool}: ${size}: end some drains, or give shorter reasons`);
}

/** A write got no answer. */
class InDoubt extends Error {}

function unavailable(e: unknown, state: string): ServiceError {
  return new ServiceError("UNAVAILABLE", `the store does not take it (${(e as Error).message}); ${state}`);
}
