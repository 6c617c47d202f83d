// SPDX-License-Identifier: Apache-2.0
// Child processes of tests and benchmarks: started, asked for CPU time and memory, stopped by their own pid; ports for them.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { projectRoot } from "../services/common/root.js";
import { sleep } from "./wait.js";

const FIRST_PORT = 15_000;
const LAST_PORT = 31_999;

/** Whether the port is this process's from now on: tests run side by side, and a port given to one is bound by its user only later. */
function reserve(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    // A name without a file, which the kernel forgets with this process.
    const claim = createServer().once("error", () => resolve(false));
    claim.listen(`\0marllb-test-port-${port}`, () => resolve(true)).unref();
  });
}

/**
 * A port of 127.0.0.1 that is free, and given to no other test process of this tree. It lies below the range from which the kernel gives
 * ports to whoever connects or binds port 0, so that none of those takes it before its user binds it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    if (!(await reserve(port))) continue;
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/** A native program of this checkout, or of another built one. */
export const nativeBin = (name: string, checkout = projectRoot): string => path.join(checkout, "build/native/bin", name);

/** Full path of a program on PATH (or in the places Debian keeps servers), null where there is none. */
export function which(name: string): string | null {
  for (const dir of [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"]) {
    const file = path.join(dir, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not here
    }
  }
  return null;
}

/** Prefix that pins a command to CPUs, where taskset exists and the machine has them. */
export function pinned(cpus: string, command: readonly string[]): string[] {
  return which("taskset") ? ["taskset", "-c", cpus, ...command] : [...command];
}

/** A machine that is busy with ten other things starts a process in this time all the same. */
export const START_MS = 90_000;

export interface ChildOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** How many lines of its stderr are kept, the last ones. */
  errorLines?: number;
}

export class Child {
  readonly process: ChildProcess;
  private readonly errors: string[] = [];
  private readonly lines: string[] = [];
  private waiting: ((line: string) => void)[] = [];
  /** Its exit code; null by a signal, or where it could not be started. */
  readonly exited: Promise<number | null>;
  /** The same, when all that it wrote was read. */
  readonly closed: Promise<number | null>;

  constructor(command: readonly string[], { errorLines = 50, ...options }: ChildOptions = {}) {
    const [file, ...args] = command;
    this.process = spawn(file as string, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
    this.process.stdin?.on("error", () => {});
    createInterface({ input: this.process.stdout! }).on("line", (l) => {
      const next = this.waiting.shift();
      if (next) next(l);
      else this.lines.push(l);
    });
    createInterface({ input: this.process.stderr! }).on("line", (l) => {
      this.errors.push(l);
      if (this.errors.length > errorLines) this.errors.shift();
    });
    this.exited = new Promise((resolve) => {
      this.process.on("exit", (code) => resolve(code));
      this.process.on("error", (e) => {
        this.errors.push(e.message);
        resolve(null);
      });
    });
    this.closed = new Promise((resolve) => this.process.on("close", (code) => resolve(code)));
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  get pid(): number {
    return this.process.pid ?? -1;
  }

  get stderr(): string {
    return this.errors.join("\n");
  }

  /** The next line of its output; rejects when it ends or `ms` pass first. */
  line(ms = 10_000): Promise<string> {
    const have = this.lines.shift();
    if (have !== undefined) return Promise.resolve(have);
    return new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${this.process.spawnargs.join(" ")}: ${why}\n${this.stderr}`));
      const timer = setTimeout(() => fail(`no line within ${ms} ms`), ms);
      this.waiting.push((l) => {
        clearTimeout(timer);
        resolve(l);
      });
      void this.exited.then(async (code) => {
        clearTimeout(timer);
        // What it wrote last is read after its end is seen; a child of its own may hold the pipes open.
        await Promise.race([this.closed, sleep(1000)]);
        fail(`ended with ${code}`);
      });
    });
  }

  /** Lets it end by closing its input, then SIGTERM, then SIGKILL. */
  async stop(): Promise<void> {
    this.process.stdin?.end();
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      if (await Promise.race([this.exited.then(() => true), sleep(1500).then(() => false)])) return;
      this.process.kill(signal);
    }
    await this.exited;
  }
}

/** A process and all its descendants. */
export function family(pid: number): number[] {
  const all = [pid];
  for (let i = 0; i < all.length; i++) {
    for (const tid of tasks(all[i] as number)) {
      const text = read(`/proc/${all[i]}/task/${tid}/children`);
      all.push(...text.split(" ").filter(Boolean).map(Number));
    }
  }
  return all;
}

/** Its threads; none where it is gone. */
export function tasks(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** A file of /proc; empty where it is gone. */
export function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Nanoseconds of CPU that the processes' living threads have had (from the scheduler, not from the 10 ms clock). */
export function cpuNs(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids)
    for (const tid of tasks(pid)) sum += Number(read(`/proc/${pid}/task/${tid}/schedstat`).split(" ")[0] || 0);
  return sum;
}

/** Resident bytes of the processes, without what they share with each other counted twice (proportional set size). */
export function residentBytes(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) kib += Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  return kib * 1024;
}

/** First line that a program prints about its version. */
export function versionOf(command: readonly string[]): string {
  const [file, ...args] = command;
  try {
    return execFileSync(file as string, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).split("\n")[0] ?? "";
  } catch {
    return "";
  }
}
