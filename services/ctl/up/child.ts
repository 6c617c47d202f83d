// SPDX-License-Identifier: Apache-2.0
// One supervised process: its ready line, its log file, its restarts. It runs in a process group of its own (Ctrl-C in the terminal
// reaches the launcher alone) and stops when the pipe to its stdin closes, so that it never outlives the launcher.
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { appendFileSync, closeSync, openSync } from "node:fs";

export interface ChildSpec {
  name: string;
  command: string;
  args: string[];
  /** Beside args when it is started again. */
  restartArgs?: string[];
  env?: Record<string, string>;
  /** How long it may take to say that it is ready, and to stop when asked. */
  readyMs?: number;
  stopMs?: number;
}

export interface Ready {
  ready: true;
  pid: number;
  [key: string]: unknown;
}

/** A supervisor, which starts the next one itself, says so of the process that served. */
interface Ended {
  ready: false;
  why: string;
}

/** A line that says whether it serves; null: any other. */
function stateOf(line: string): Ready | Ended | null {
  if (!line.startsWith("{")) return null;
  try {
    const said = JSON.parse(line) as Ready | Ended;
    return typeof said.ready === "boolean" ? said : null;
  } catch {
    return null; // an ordinary line that happens to begin with a brace
  }
}

interface Events {
  /** It serves; the first time or again. */
  ready: [Ready];
  /** It ended without being asked to. */
  died: [string];
  /** Any other line of its stdout. */
  line: [string];
}

const firstBackoffMs = 100;
const longestBackoffMs = 2000;
const settledMs = 10_000;
const lastWordsMs = 2000;

export class Child extends EventEmitter<Events> {
  restarts = 0;
  /** It was ready at least once. */
  served = false;
  state: "starting" | "ready" | "down" | "stopped" = "down";
  #process: ChildProcess | undefined;
  #log: number | undefined;
  #stopping = false;
  #backoffMs = firstBackoffMs;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  /** Ends the wait of start(). */
  #giveUp: ((why: string) => void) | undefined;
  /** Its pipes have been read to their end. */
  #read: Promise<void> = Promise.resolve();

  constructor(
    readonly spec: ChildSpec,
    readonly logFile: string,
  ) {
    super();
    this.#log = openSync(logFile, "a", 0o600);
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Resolves at its first ready line; rejects if it ends or stays silent before that. Later deaths restart it. */
  start(): Promise<Ready> {
    const readyMs = this.spec.readyMs ?? 60_000;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => end(`was not ready after ${readyMs / 1000} s (on a busy machine: --ready SECONDS)`),
        readyMs,
      );
      const onReady = (r: Ready): void => {
        stop();
        resolve(r);
      };
      const end = (why: string): void => {
        stop();
        this.#stopping = true;
        reject(new Error(`${this.spec.name} ${why}`));
      };
      this.#giveUp = end;
      const stop = (): void => {
        this.#giveUp = undefined;
        clearTimeout(timer);
        this.off("ready", onReady).off("died", end);
      };
      this.once("ready", onReady).once("died", end);
      this.#spawn();
    });
  }

  /** Asks it to stop by closing its stdin, then SIGTERM, then SIGKILL. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#giveUp?.("was stopped before it served");
    const p = this.#process;
    if (p) {
      const gone = new Promise<void>((resolve) => p.once("exit", () => resolve()));
      // One that has not come to serve may be busy with its start, and has nothing to end in order.
      const stopMs = this.spec.stopMs ?? (this.served ? 5000 : 300);
      const timers = [setTimeout(() => p.kill("SIGTERM"), stopMs), setTimeout(() => this.kill(), stopMs + 2000)];
      p.stdin?.end();
      await gone;
      for (const t of timers) clearTimeout(t);
    }
    this.state = "stopped";
    await this.#lastWords();
    if (this.#log !== undefined) closeSync(this.#log);
    this.#log = undefined;
  }

  /** What it wrote just before its end may still be in the pipes; a child of its own could hold them open for ever. */
  async #lastWords(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, lastWordsMs)));
    await Promise.race([this.#read, enough]);
    clearTimeout(timer);
  }

  /** At once, its whole group. */
  kill(): void {
    this.#stopping = true;
    const pid = this.#process?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // Gone already.
    }
  }

  #spawn(): void {
    this.state = "starting";
    this.#startedAt = performance.now();
    const args = this.restarts > 0 ? [...this.spec.args, ...(this.spec.restartArgs ?? [])] : this.spec.args;
    const p = spawn(this.spec.command, args, {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...this.spec.env },
    });
    this.#process = p;
    p.stdin?.on("error", () => {}); // it died with the pipe open
    p.stderr?.on("data", (d: Buffer) => this.#write(d));
    let rest = "";
    p.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#onLine(line);
    });
    this.#read = new Promise((resolve) => p.once("close", () => resolve()));
    p.on("error", (e) => this.#onEnd(p, `could not be started: ${e.message}`));
    p.on("exit", (code, signal) => this.#onEnd(p, signal ? `was killed by ${signal}` : `ended with exit code ${code}`));
  }

  #onLine(line: string): void {
    const state = stateOf(line);
    if (this.state === "starting" && state?.ready === true) {
      this.state = "ready";
      this.served = true;
      this.emit("ready", state);
    } else if (this.state === "ready" && state?.ready === false) {
      this.state = "starting";
      this.#write(`launcher: ${this.spec.name} ${state.why}\n`);
      this.emit("died", state.why);
    } else {
      this.emit("line", line);
      this.#write(`${line}\n`);
    }
  }

  /** What it says after it ended (its pipes are read a little longer) finds the log closed. */
  #write(text: string | Buffer): void {
    if (this.#log === undefined) return;
    try {
      appendFileSync(this.#log, text);
    } catch {
      // A full disk costs lines of the log, never the process that they are about.
    }
  }

  #onEnd(p: ChildProcess, why: string): void {
    if (this.#process !== p) return;
    this.#process = undefined;
    if (this.#stopping) return;
    this.state = "down";
    this.#write(`launcher: ${this.spec.name} ${why}\n`);
    this.emit("died", why);
    if (this.#stopping) return; // start() gave up on it
    if (performance.now() - this.#startedAt > settledMs) this.#backoffMs = firstBackoffMs;
    this.#timer = setTimeout(() => {
      this.restarts++;
      this.#spawn();
    }, this.#backoffMs);
    this.#backoffMs = Math.min(2 * this.#backoffMs, longestBackoffMs);
  }
}
