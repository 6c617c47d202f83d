// SPDX-License-Identifier: Apache-2.0
// Where log lines go: a bounded queue in front of a descriptor, so that a reader that stopped, or a slow disk, never stops the service.
// A line that finds the queue full is lost and counted; the count is written as a line of its own once the reader is back.
import { closeSync, constants, fstatSync, openSync, type Stats, write, writeSync } from "node:fs";
import { Socket } from "node:net";

/** UTF-16 units. */
const QUEUE_SIZE = 1 << 20;
const CHUNK_SIZE = 1 << 16;
/** How often a full pipe is tried again. */
const RETRY_MS = 50;

interface Chunk {
  bytes: Buffer;
  /** Bytes of it that are written. */
  done: number;
  lines: number;
  /** What it counts for in the queue. */
  size: number;
}

interface Target {
  fd: number;
  /** write(2) may wait there: it is left to a thread of the pool. */
  waits: boolean;
  /** We opened it. */
  own: boolean;
  /** Kept, for its end would close the descriptor. */
  handle?: Socket;
}

function target(fd: number): Target {
  let s: Stats;
  try {
    s = fstatSync(fd);
  } catch {
    return { fd, waits: false, own: false };
  }
  if (s.isFIFO() || s.isCharacterDevice()) {
    // A description of our own: O_NONBLOCK on the inherited one would reach every process that shares it.
    try {
      const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
      return { fd: openSync(`/proc/self/fd/${fd}`, flags), waits: false, own: true };
    } catch {
      // No reader any more (ENXIO), or another user made it (EACCES).
    }
  }
  if (s.isSocket() || s.isFIFO()) {
    // A socket (the journal's) cannot be opened a second time. libuv sets O_NONBLOCK as it takes it over.
    const handle = new Socket({ fd, readable: false, writable: true }).unref().on("error", () => {});
    return { fd, waits: false, own: false, handle };
  }
  return { fd, waits: true, own: false };
}

export class LogWriter {
  #lost = 0;
  /** Those of them that were told of. */
  #told = 0;
  #failing = false;
  #queue: string[] = [];
  #size = 0;
  #current: Chunk | null = null;
  /** A thread of the pool is writing `current`. */
  #busy = false;
  #retry: NodeJS.Timeout | null = null;
  #emptied: (() => void)[] = [];
  readonly #to: Target;
  readonly #onBack: (lost: number) => void;
  readonly #limit: number;

  /** onBack: lines were lost, and all that was kept is written. */
  constructor(fd: number, onBack: (lost: number) => void, limit = QUEUE_SIZE) {
    this.#to = target(fd);
    this.#onBack = onBack;
    this.#limit = limit;
  }

  /** Lines lost so far. */
  get lost(): number {
    return this.#lost;
  }

  /** One line with its end. Never waits. */
  write(line: string): void {
    if (this.#size + line.length > this.#limit) {
      this.#lost++;
      return;
    }
    this.#queue.push(line);
    this.#size += line.length;
    if (!this.#busy && this.#retry === null) this.#pump();
  }

  /** Resolves once all is written, or after `ms`. */
  flush(ms: number): Promise<void> {
    if (this.#size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#emptied.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** For the process's last moment: writes what is left, as far as nobody has to be waited for. */
  last(): void {
    // What a thread is writing comes out by itself.
    if (this.#busy) this.#current = null;
    this.#busy = false;
    this.#drain();
  }

  close(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#to.own) closeSync(this.#to.fd);
    this.#to.handle?.destroy();
  }

  #take(): Chunk | null {
    if (this.#current !== null || this.#queue.length === 0) return this.#current;
    let lines = 0;
    let size = 0;
    while (lines < this.#queue.length && size < CHUNK_SIZE) size += (this.#queue[lines++] as string).length;
    this.#current = { bytes: Buffer.from(this.#queue.splice(0, lines).join("")), done: 0, lines, size };
    return this.#current;
  }

  #pump(): void {
    if (this.#to.waits) this.#hand();
    else if (!this.#drain()) this.#later();
    this.#settle();
  }

  /** Writes on this thread. False: the reader has no room now. */
  #drain(): boolean {
    for (let c = this.#take(); c !== null; c = this.#take()) {
      try {
        this.#wrote(c, writeSync(this.#to.fd, c.bytes, c.done));
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code === "EAGAIN") return false;
        this.#failed(c);
      }
    }
    return true;
  }

  /** Hands the next chunk to a thread of the pool. */
  #hand(): void {
    const c = this.#take();
    if (c === null) return;
    this.#busy = true;
    write(this.#to.fd, c.bytes, c.done, (e, n) => {
      if (!this.#busy) return; // last() went past it
      this.#busy = false;
      if (e === null) this.#wrote(c, n);
      else if (e.code !== "EAGAIN") this.#failed(c);
      if (e?.code === "EAGAIN") this.#later();
      else this.#pump();
    });
  }

  #later(): void {
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#pump();
    }, RETRY_MS).unref();
  }

  #wrote(c: Chunk, n: number): void {
    this.#failing = false;
    c.done += n;
    if (c.done === c.bytes.length) this.#remove(c);
  }

  /** A reader that is gone, a full disk: these lines are lost, the next may not be. */
  #failed(c: Chunk): void {
    this.#failing = true;
    this.#lost += c.lines;
    this.#remove(c);
  }

  #remove(c: Chunk): void {
    this.#current = null;
    this.#size -= c.size;
  }

  #settle(): void {
    if (this.#size > 0) return;
    for (const done of this.#emptied.splice(0)) done();
    const lost = this.#lost - this.#told;
    if (lost === 0 || this.#failing) return;
    this.#told = this.#lost;
    this.#onBack(lost);
  }
}
