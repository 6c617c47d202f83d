// SPDX-License-Identifier: Apache-2.0
// What a VIP's policy saw and decided, tick by tick, in files of a bounded size. A frame is kept as what differs from the one before,
// field by field and compressed, without what no policy sees (strippedRecords); a decision as a digest, since it can be made again from
// what was seen. No client's address is in a frame. Written behind the loop: a disk that is slow costs ticks of the log and never one of
// the loop.
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFile,
} from "node:fs";
import path from "node:path";
import { deflateRaw } from "node:zlib";
import type { Checkpoint__Output } from "../../gen/marllb/v1/Checkpoint.js";
import type { Frame__Output } from "../../gen/marllb/v1/Frame.js";
import type { Weights } from "../../gen/marllb/v1/Weights.js";
import { MAGIC, type Packed, packKey, packTick, type Tick } from "./log-format.js";

export interface LogOptions {
  folder: string;
  /** Of one file. */
  maxBytes: number;
  files: number;
  /** Whether this release reads what a file holds: nothing is put behind what it does not. */
  readable(file: string): boolean;
  /** Once for each tick that is lost. */
  failed(e: Error): void;
  /** Once for each tick that is in the file, with its bytes. */
  wrote(bytes: number): void;
}

/** So often everything is written anew: where a reader can begin. */
export const KEY_TICKS = 300;
/** Records on their way to the disk; more are left out. */
const MAX_WAITING = 32;

export const digestOf = (w: Pick<Weights, "weights" | "bias">): Buffer =>
  createHash("sha1")
    .update(w.weights as Buffer)
    .update("/")
    .update(w.bias as Buffer)
    .digest()
    .subarray(0, 8);

const deflate = (b: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => deflateRaw(b, { level: 3 }, (e, z) => (e ? reject(e) : resolve(z))));

export class DecisionLog {
  lost = 0;
  bytes = 0;
  ticks = 0;
  #before: Frame__Output | null = null;
  #policy = "";
  #sinceKey = 0;
  /** On their way to the disk. */
  #waiting = 0;
  #chain: Promise<void> = Promise.resolve();
  #fd: number | null = null;
  /** Of the file, up to the last record that is whole. */
  #size = 0;
  /** The last record was not written: part of it may stand at the end, and only a key record can follow. */
  #torn = false;
  /** Bytes of the file as the former writer left it; null: nobody here knows. */
  #left: number | null = null;
  #closed = false;

  /**
   * `name` of the VIP at its load balancer. `former`: who wrote under this name in this process; streams are opened anew every few minutes,
   * and the file goes on.
   */
  constructor(
    private readonly name: string,
    private readonly o: LogOptions,
    former?: DecisionLog,
  ) {
    if (!former) return;
    this.#chain = former.close().then(() => {
      if (!former.#torn) this.#left = former.#size;
    });
  }

  /** `checkpoint`: what the policy remembered before this tick; asked for where a key record is due. */
  tick(t: Tick, checkpoint: () => Checkpoint__Output): void {
    if (this.#closed) return;
    if (this.#waiting >= MAX_WAITING) {
      this.#lose(new Error(`${MAX_WAITING} records wait for the disk`));
      return;
    }
    const before = this.#before;
    const key =
      before === null ||
      this.#sinceKey >= KEY_TICKS ||
      // Whose turn it is now goes on with what it remembered as a shadow.
      this.#policy !== t.policy ||
      before.generation !== t.frame.generation ||
      before.records.length !== t.frame.records.length;
    const packed = key ? packKey(t, checkpoint()) : packTick(t, before);
    this.#sinceKey = key ? 1 : this.#sinceKey + 1;
    this.#before = t.frame;
    this.#policy = t.policy;
    this.#waiting++;
    this.ticks++;
    this.#chain = this.#chain.then(() => this.#write(packed, key)).finally(() => this.#waiting--);
  }

  /** What was given so far is written, or was given up. */
  written(): Promise<void> {
    return this.#chain;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#chain;
    this.#drop();
  }

  #lose(e: Error): void {
    this.#before = null; // what is missing cannot be built upon
    this.lost++;
    this.o.failed(e);
  }

  async #write(p: Packed, key: boolean): Promise<void> {
    // It was packed before the one that it builds upon was lost.
    if (this.#torn && !key) return this.#lose(new Error("the record before it was not written"));
    try {
      const body = await deflate(p.body);
      const head = Buffer.alloc(5);
      head.writeUInt32LE(body.length + 1, 0);
      head.writeUInt8(p.kind, 4);
      if (this.#fd === null) this.#goOn();
      // A file begins with a key record, so that each can be read alone. Only what is full makes room for the next.
      if (key && this.#size >= this.o.maxBytes) this.#next();
      const fd = this.#fd as unknown as number;
      const bytes = Buffer.concat([...(this.#size === 0 ? [Buffer.from(MAGIC)] : []), head, body]);
      await new Promise<void>((resolve, reject) => writeFile(fd, bytes, (e) => (e ? reject(e) : resolve())));
      this.#size += bytes.length;
      this.bytes += bytes.length;
      this.o.wrote(bytes.length);
      this.#torn = false;
    } catch (e) {
      this.#torn = true;
      this.#drop();
      this.#lose(e as Error);
    }
  }

  /** Whatever is wrong with it: the next record opens the file anew, and cuts off what is half written. */
  #drop(): void {
    try {
      if (this.#fd !== null) closeSync(this.#fd);
    } catch {
      // It was none any more.
    }
    this.#fd = null;
  }

  get #file(): string {
    return path.join(this.o.folder, `${this.name}.mlog`);
  }

  /** Goes on with the file that is there: a process that starts again and again must not turn all of them over. */
  #goOn(): void {
    mkdirSync(this.o.folder, { recursive: true });
    // As it was left it is whole, and need not be read: streams are opened anew while others wait for their weights.
    const asLeft = this.#left !== null && this.#left === statSync(this.#file, { throwIfNoEntry: false })?.size;
    const whole = asLeft ? this.#left : wholeLength(this.#file);
    this.#left = null;
    if (whole === null || (!asLeft && whole > 0 && !this.o.readable(this.#file))) {
      this.#next();
      return;
    }
    this.#fd = openSync(this.#file, "a", 0o640);
    ftruncateSync(this.#fd, whole);
    this.#size = whole;
  }

  #next(): void {
    const { files } = this.o;
    this.#drop();
    const file = this.#file;
    rmSync(`${file}.${files - 1}`, { force: true });
    for (let i = files - 2; i >= 0; i--) {
      const from = i === 0 ? file : `${file}.${i}`;
      if (existsSync(from)) renameSync(from, `${file}.${i + 1}`);
    }
    this.#fd = openSync(file, "ax", 0o640);
    this.#size = 0;
    this.#torn = false;
  }
}

/** Bytes of a log up to the end of its last whole record; 0: none is there yet; null: it is no log of ours. */
export function wholeLength(file: string): number | null {
  if (!existsSync(file)) return 0;
  const all = readFileSync(file);
  if (all.length < MAGIC.length) return Buffer.from(MAGIC).subarray(0, all.length).equals(all) ? 0 : null;
  if (!all.subarray(0, MAGIC.length).equals(Buffer.from(MAGIC))) return null;
  let at = MAGIC.length;
  while (at + 5 <= all.length) {
    const end = at + 4 + all.readUInt32LE(at);
    if (end <= at + 4 || end > all.length) break;
    at = end;
  }
  // A head without a record: it is written anew.
  return at === MAGIC.length ? 0 : at;
}

/** Files of a VIP at a load balancer, oldest first. */
export function logFiles(folder: string, name?: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((f) => (name === undefined ? /\.mlog(\.\d+)?$/.test(f) : f === `${name}.mlog` || f.startsWith(`${name}.mlog.`)))
    .map((f) => path.join(folder, f))
    .sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);
}
