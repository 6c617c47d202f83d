// SPDX-License-Identifier: Apache-2.0
// A launcher as a person starts it, seen from outside: its output, its processes, its files.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { ctlCommand } from "../../../testbed/ctl.js";

export const instanceFolder = (name: string): string => path.join(os.tmpdir(), `marllb-${os.userInfo().uid}`, name);
export const region = (name: string): string => `/dev/shm/lb_rl_shm.${name}`;
let number = 0;
export const freshName = (): string => `t${process.pid}-${number++}`;

export class Run {
  readonly process: ChildProcess;
  readonly exited: Promise<number | string | null>;
  output = "";
  #changed: (() => void)[] = [];

  constructor(
    readonly name: string,
    flags: readonly string[],
    /** What a shell does before, up to `exec`. */
    shell = "",
  ) {
    const own = ["--instance", name, "--stop-with-stdin", "--drain", "20"];
    const [file, ...args] = ctlCommand("up", ...own, ...flags);
    const command = shell === "" ? [file, ...args] : ["sh", "-c", `${shell} "$0" "$@"`, file, ...args];
    this.process = spawn(command[0] as string, command.slice(1), { stdio: ["pipe", "pipe", "pipe"] });
    this.process.stdin?.on("error", () => {});
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
        for (const f of this.#changed.splice(0)) f();
      });
    }
    this.exited = new Promise((resolve) => this.process.once("exit", (code, signal) => resolve(code ?? signal)));
  }

  /** Resolves with the match once the output has it; rejects when the launcher ends first. */
  async sees(pattern: RegExp, count = 1): Promise<RegExpMatchArray> {
    const all = new RegExp(pattern, `g${pattern.flags.replace("g", "")}`);
    let ended: unknown;
    void this.exited.then((code) => {
      ended = code ?? "nothing";
      for (const f of this.#changed.splice(0)) f();
    });
    for (;;) {
      const found = [...this.output.matchAll(all)];
      if (found.length >= count) return found[count - 1] as RegExpMatchArray;
      if (ended !== undefined) throw new Error(`ended with ${ended} before ${pattern} was seen ${count} times:\n${this.output}`);
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  /** Pids of its processes whose command line has this text. */
  pids(text = ""): number[] {
    const mark = instanceFolder(this.name);
    return readdirSync("/proc").flatMap((entry) => {
      if (!/^\d+$/.test(entry)) return [];
      try {
        const line = readFileSync(`/proc/${entry}/cmdline`, "utf8");
        return line.includes(mark) && line.includes(text) ? [Number(entry)] : [];
      } catch {
        return []; // it ended meanwhile
      }
    });
  }

  /** What it must not leave: processes, the region and its socket, its folder. */
  leftovers(): string[] {
    const names = ["", ".ctl", ".order"].map((end) => `${region(this.name)}${end}`);
    const files = [...names, instanceFolder(this.name)].filter((f) => existsSync(f));
    return [...files, ...this.pids().map((p) => `process ${p}`)];
  }
}

export const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await new Promise((r) => setTimeout(r, 50));
};
