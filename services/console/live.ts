// SPDX-License-Identifier: Apache-2.0
// GET /api/live: server-sent events, one message a second. A reader that is slow gets fewer messages, never older ones; one that reads
// nothing for ten seconds is cut off.
import type { ServerResponse } from "node:http";
import type { EventLog } from "./eventlog.js";
import type { Model } from "./model.js";
import type { Live } from "./wire.js";

export const MAX_READERS = 64;
const EVERY_MS = 1000;
const UNREAD_MS = 10_000;

interface Reader {
  response: ServerResponse;
  key: string;
  /** The newest event that it was sent. */
  event: number;
  /** Since when it takes nothing; null: it reads. */
  fullAt: number | null;
}

/** The same for all of them. */
type Said = Pick<Live, "at" | "vips" | "silent">;

export interface LiveOptions {
  model: Model;
  events: EventLog;
  unixMs(): number;
  now(): number;
}

export class LiveReaders {
  readonly #readers = new Set<Reader>();
  readonly #timer: NodeJS.Timeout;
  cut = 0;

  constructor(private readonly o: LiveOptions) {
    this.#timer = setInterval(() => this.#tell(), EVERY_MS);
  }

  get size(): number {
    return this.#readers.size;
  }

  watched(): Set<string> {
    return new Set([...this.#readers].map((r) => r.key));
  }

  /** False: there are too many. `key` may be empty, or of a VIP that is not known yet. */
  add(response: ServerResponse, key: string): boolean {
    if (this.#readers.size >= MAX_READERS) return false;
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    const reader: Reader = { response, key, event: this.o.events.last, fullAt: null };
    this.#readers.add(reader);
    response.on("close", () => this.#readers.delete(reader)).on("drain", () => (reader.fullAt = null));
    this.#send(reader, this.#said());
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const { response } of this.#readers) response.end();
    this.#readers.clear();
  }

  #tell(): void {
    if (this.#readers.size === 0) return;
    const now = this.o.now();
    const said = this.#said();
    for (const reader of this.#readers) {
      if (reader.fullAt === null) this.#send(reader, said);
      else if (now - reader.fullAt >= UNREAD_MS) {
        this.cut++;
        this.#readers.delete(reader);
        reader.response.destroy();
      }
    }
  }

  #said(): Said {
    const { model } = this.o;
    const at = this.o.unixMs();
    return { at, vips: model.briefs(at), silent: model.silent() };
  }

  #send(reader: Reader, said: Said): void {
    const { model, events } = this.o;
    const message: Live = { ...said, detail: model.detail(reader.key), events: events.since(reader.event) };
    reader.event = events.last;
    if (!reader.response.write(`data: ${JSON.stringify(message)}\n\n`)) reader.fullAt = this.o.now();
  }
}
