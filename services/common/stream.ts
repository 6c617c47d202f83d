// SPDX-License-Identifier: Apache-2.0
// Streams that last: the client's side, reopened when it breaks, and the server's, ended when nobody reads. Neither queues more than the
// newest message of each key while the peer is slow.

/** What this needs of a gRPC client stream. */
export interface Duplex<Out, In> {
  /** done: the message went out, as far as flow control lets it. */
  write(message: Out, done: (e?: Error | null) => void): boolean;
  on(event: "data", fn: (message: In) => void): unknown;
  on(event: "end", fn: () => void): unknown;
  on(event: "error", fn: (e: Error) => void): unknown;
  /** The address at the other end, once there is a connection. */
  getPeer(): string;
  cancel(): void;
}

export interface Timers {
  now(): number;
  setTimeout(fn: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

export const systemTimers = (now: () => number): Timers => ({
  now,
  setTimeout: (fn, ms) => setTimeout(fn, ms),
  clearTimeout: (t) => clearTimeout(t as NodeJS.Timeout),
});

export interface StreamOptions<Out, In> {
  open(): Duplex<Out, In>;
  /** Messages of the same key replace each other while they wait. */
  key(message: Out): number;
  onOpen?(send: (message: Out) => void): void;
  onMessage(message: In): void;
  onDown?(reason: string): void;
  /** Whether the peer ended the stream because of who we are or what we say: it will do so again. */
  isRefusal?(e: Error): boolean;
  /** Said once for each reason; empty: the peer takes us again. */
  onRefused?(reason: string): void;
  timers: Timers;
  /** A peer that takes nothing for so long counts as hung. */
  stallMs: number;
  /**
   * Messages on their way at once. gRPC's own mark (write returning false) lets 16 pile up, which at a slow peer are 16 old
   * frames before the newest.
   */
  pipeline: number;
}

export type StreamState = "connecting" | "ready" | "down" | "refused";

export interface StreamFigures {
  state: StreamState;
  /** Why it is down or refused, else empty. */
  why: string;
  answered: number;
  unanswered: number;
  reconnects: number;
}

const REOPEN_MIN_MS = 100;
const REOPEN_MAX_MS = 250;
/** A stream that lasted so long is opened anew at once: its connection has aged, or the peer was restarted. */
const LASTED_MS = 10_000;
/** Each time in a row that a peer takes nothing it gets twice as long, at most so often: one that is slow must not lose all that it has taken. */
const STALL_DOUBLINGS = 4;
/** Who was refused is asked again so often, and is no longer refused when a stream lasted so long. */
const REFUSED_MS = 1000;

export class LastingStream<Out, In> {
  state: StreamState = "connecting";
  /** Why the last stream ended; empty while there is one. */
  why = "";
  reconnects = 0;
  /** Messages replaced by a newer one before the peer took them. */
  replaced = 0;
  /** Messages that the peer took. */
  taken = 0;
  private current: Duplex<Out, In> | null = null;
  private lastPeer = "";
  private inFlight = 0;
  private readonly waiting = new Map<number, Out>();
  private reopenTimer: unknown = null;
  private stallTimer: unknown = null;
  private failures = 0;
  /** How often in a row the peer took nothing. */
  private stalls = 0;
  private openedAt = 0;
  private closed = false;

  constructor(private readonly o: StreamOptions<Out, In>) {
    this.open();
  }

  /** Sends, or keeps as the newest until the peer takes more. False: there is no stream now, the message is dropped. */
  send(message: Out): boolean {
    if (this.current === null) return false;
    if (this.inFlight < this.o.pipeline) {
      this.write(message);
    } else {
      if (this.waiting.has(this.o.key(message))) this.replaced++;
      this.waiting.set(this.o.key(message), message);
    }
    return true;
  }

  /** The address that the stream leads to, else that it led to last; empty before the first connection. */
  get peer(): string {
    const now = this.current?.getPeer() ?? "";
    // A call without a connection names what it is to be made of.
    if (/:\d+$/.test(now) && !now.startsWith("dns:")) this.lastPeer = now;
    return this.lastPeer;
  }

  /** Open, and every message sent was taken. */
  get idle(): boolean {
    return this.current !== null && this.inFlight === 0;
  }

  figures(): StreamFigures {
    return { state: this.state, why: this.why, answered: this.taken, unanswered: this.replaced, reconnects: this.reconnects };
  }

  /** Cancels and opens anew: for a peer that takes messages and never answers. */
  reopen(reason: string): void {
    const stream = this.current;
    if (stream === null) return;
    this.lost(stream, reason);
    stream.cancel();
  }

  close(): void {
    this.closed = true;
    const stream = this.current;
    this.current = null;
    this.waiting.clear();
    this.o.timers.clearTimeout(this.reopenTimer);
    this.o.timers.clearTimeout(this.stallTimer);
    stream?.cancel();
  }

  private open(): void {
    if (this.closed) return;
    let stream: Duplex<Out, In>;
    try {
      stream = this.o.open();
    } catch (e) {
      this.schedule();
      this.o.onDown?.((e as Error).message);
      return;
    }
    this.current = stream;
    this.openedAt = this.o.timers.now();
    this.inFlight = 0;
    stream.on("error", (e) => this.lost(stream, e.message, this.o.isRefusal?.(e)));
    stream.on("end", () => this.lost(stream, "ended by the peer"));
    stream.on("data", (message) => {
      if (this.current !== stream) return;
      this.answered();
      this.o.onMessage(message);
    });
    this.o.onOpen?.((message) => this.write(message));
  }

  private write(message: Out): void {
    const stream = this.current;
    if (stream === null) return;
    this.inFlight++;
    if (this.inFlight === 1) this.watch(stream);
    stream.write(message, (e) => {
      if (e || this.current !== stream) return;
      this.inFlight--;
      this.taken++;
      this.answered();
      this.watch(stream);
      this.flush();
    });
  }

  private answered(): void {
    // A message is taken before it is read, and refused after.
    if (this.state === "refused" && this.o.timers.now() - this.openedAt < REFUSED_MS) return;
    if (this.state === "refused") this.o.onRefused?.("");
    this.state = "ready";
    if (this.o.timers.now() - this.openedAt >= LASTED_MS) this.stalls = 0;
    this.why = "";
    this.failures = 0;
  }

  /** Starts the stall timer afresh, or stops it where nothing is on its way. */
  private watch(stream: Duplex<Out, In>): void {
    this.o.timers.clearTimeout(this.stallTimer);
    if (this.inFlight === 0) return;
    this.stallTimer = this.o.timers.setTimeout(
      () => {
        if (this.current !== stream) return;
        this.stalls = Math.min(STALL_DOUBLINGS, this.stalls + 1);
        this.reopen("takes no messages");
      },
      this.o.stallMs * 2 ** this.stalls,
    );
  }

  private flush(): void {
    for (const [key, message] of this.waiting) {
      if (this.inFlight >= this.o.pipeline) break;
      this.waiting.delete(key);
      this.write(message);
    }
  }

  private lost(stream: Duplex<Out, In>, reason: string, refused = false): void {
    if (this.current !== stream) return;
    this.current = null;
    this.inFlight = 0;
    this.waiting.clear();
    this.o.timers.clearTimeout(this.stallTimer);
    if (this.closed) return;
    const lasted = this.state === "ready" && this.o.timers.now() - this.openedAt >= LASTED_MS;
    if (refused && (this.state !== "refused" || this.why !== reason)) this.o.onRefused?.(reason);
    this.state = refused ? "refused" : "down";
    this.why = reason;
    this.reconnects++;
    if (refused) this.schedule(REFUSED_MS);
    else this.schedule(lasted ? 0 : undefined);
    this.o.onDown?.(reason);
  }

  private schedule(wait = Math.min(REOPEN_MAX_MS, REOPEN_MIN_MS * 1.5 ** this.failures)): void {
    this.failures++;
    this.reopenTimer = this.o.timers.setTimeout(() => this.open(), wait);
  }
}

/** What an outlet needs of a gRPC server stream. */
export interface Sink<Out> {
  /** done: the message went out, as far as flow control lets it. */
  write(message: Out, done: (e?: Error | null) => void): boolean;
  end(): unknown;
}

export interface OutletOptions<Item, Out> {
  /** One message of what waits, oldest first. */
  pack(items: readonly Item[]): Out;
  /** Most items of a message. */
  batch: number;
  timers: Timers;
  /** The reader took nothing for UNREAD_MS. */
  onUnread(): void;
}

export const UNREAD_MS = 10_000;

/**
 * The server's side of a stream: one message on its way, and the newest item of each key waits for the reader to take it. A reader
 * that takes nothing costs so much for UNREAD_MS, and then nothing.
 */
export class Outlet<Item, Out> {
  private readonly waiting = new Map<string, Item>();
  private source: Iterator<Item> | null = null;
  private onItsWay = false;
  private closed = false;
  private unreadTimer: unknown = null;

  constructor(
    private readonly sink: Sink<Out>,
    private readonly o: OutletOptions<Item, Out>,
  ) {}

  /** An item that waits under the same key is replaced in its place. */
  put(entries: Iterable<readonly [key: string, item: Item]>): void {
    if (this.closed) return;
    for (const [key, item] of entries) this.waiting.set(key, item);
    this.flush();
  }

  /**
   * Everything there is, behind what waits: taken from `items` as fast as the reader reads, so that a list of millions never lies in
   * memory and each item is as it is then. While one such list is on its way, another adds nothing.
   */
  putAll(items: Iterable<Item>): void {
    if (this.closed || this.source !== null) return;
    this.source = items[Symbol.iterator]();
    this.flush();
  }

  /** The stream is gone. */
  close(): void {
    this.closed = true;
    this.waiting.clear();
    this.source = null;
    this.o.timers.clearTimeout(this.unreadTimer);
  }

  /** Ends the stream, behind what is on its way. */
  end(): void {
    this.close();
    this.sink.end();
  }

  private flush(): void {
    if (this.onItsWay) return;
    const items = this.next();
    if (items.length === 0) return;
    this.onItsWay = true;
    this.unreadTimer = this.o.timers.setTimeout(() => {
      this.close();
      this.o.onUnread();
    }, UNREAD_MS);
    this.sink.write(this.o.pack(items), (e) => {
      if (this.closed) return;
      if (e) {
        this.close();
        return;
      }
      this.onItsWay = false;
      this.o.timers.clearTimeout(this.unreadTimer);
      this.flush();
    });
  }

  private next(): Item[] {
    const items: Item[] = [];
    for (const [key, item] of this.waiting) {
      if (items.length === this.o.batch) return items;
      this.waiting.delete(key);
      items.push(item);
    }
    while (this.source !== null && items.length < this.o.batch) {
      const next = this.source.next();
      if (next.done) this.source = null;
      else items.push(next.value);
    }
    return items;
  }
}
