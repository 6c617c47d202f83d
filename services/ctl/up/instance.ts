// SPDX-License-Identifier: Apache-2.0
// The folder of a running instance: its effective configuration, its launcher's pid, its logs. `marllbctl --instance NAME` finds the
// addresses here.
import { randomBytes } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { hostInstance } from "../../common/config/host-instance.js";
import type { Config } from "../../common/config/load.js";
import { startOf } from "../../common/process-start.js";
import { LaunchError } from "./error.js";

export function instanceFolder(instance: string): string {
  return path.join(os.tmpdir(), `marllb-${os.userInfo().uid}`, instance);
}

/** The launcher's instance where it is started without a file. */
export const DEMO = "marllb";

/** A file of the running instance of this name; without a name: of the demo, else of a file that names none. Null: none was started. */
export function fileOfRunning(instance: string | undefined, name: string): string | null {
  const names = instance === undefined ? [DEMO, hostInstance()] : [instance];
  return names.map((n) => path.join(instanceFolder(n), name)).find((file) => existsSync(file)) ?? null;
}

/** Where its services are reached (services/ctl/target.ts reads it). */
export const TARGET = "target.json";

export class Instance {
  readonly folder: string;
  /** Of the console, where `makeToken` made one. */
  token = "";

  private constructor(name: string) {
    this.folder = instanceFolder(name);
  }

  /** Claims the name: refused while another launcher of that name runs; the logs of a crashed one are kept as NAME.previous. */
  static claim(name: string): Instance {
    const it = new Instance(name);
    const parent = path.dirname(it.folder);
    makeParent(parent);
    const s = lstatSync(parent);
    if (!s.isDirectory() || s.uid !== os.userInfo().uid) throw new LaunchError(`${parent} belongs to somebody else; set TMPDIR`);
    for (;;) {
      try {
        mkdirSync(it.folder, { mode: 0o700 });
        break;
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code !== "EEXIST") throw e;
      }
      const pid = it.#launcher();
      if (pid !== undefined) {
        throw new LaunchError(`instance ${name} runs already (launcher pid ${pid}); choose another name with --instance NAME`);
      }
      const previous = `${it.folder}.previous`;
      rmSync(previous, { recursive: true, force: true });
      renameSync(it.folder, previous);
    }
    try {
      mkdirSync(path.join(it.folder, "logs"));
      writeFileSync(path.join(it.folder, "launcher.pid"), `${process.pid} ${startOf(process.pid)}\n`);
    } catch (e) {
      it.release(false);
      throw it.explain(e);
    }
    return it;
  }

  /** A full disk is told by the folder that is on it; any other error as it is. */
  explain(e: unknown): unknown {
    const { code = "", message } = e as NodeJS.ErrnoException;
    if (!["ENOSPC", "EDQUOT", "EFBIG", "EROFS"].includes(code)) return e;
    return new LaunchError(`cannot write to ${this.folder}: ${message}; free some room there, or set TMPDIR`);
  }

  get logs(): string {
    return path.join(this.folder, "logs");
  }

  logFile(name: string): string {
    return path.join(this.logs, `${name}.log`);
  }

  /** `suffix`: of a load balancer that is not the first. */
  writeConfig(config: Config, suffix = ""): string {
    const file = path.join(this.folder, `effective${suffix}.json`);
    writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
    return file;
  }

  writeTarget(target: object): void {
    writeFileSync(path.join(this.folder, TARGET), `${JSON.stringify(target)}\n`, { mode: 0o600 });
  }

  /** A token for the console of this run; its file is read by the console alone. */
  makeToken(): string {
    const file = path.join(this.folder, "console.token");
    this.token = randomBytes(16).toString("hex");
    writeFileSync(file, `${this.token}\n`, { mode: 0o600 });
    return file;
  }

  /** The last lines of a log, for the message when something did not start. */
  tail(name: string, lines = 15): string {
    const file = this.logFile(name);
    if (!existsSync(file)) return "";
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Removes the folder, or only marks it as ended where the logs are still of use. */
  release(keepLogs: boolean): void {
    if (keepLogs) rmSync(path.join(this.folder, "launcher.pid"), { force: true });
    else rmSync(this.folder, { recursive: true, force: true });
    try {
      if (!keepLogs) rmdirSync(path.dirname(this.folder));
    } catch {
      // Not empty, or another instance made it anew: theirs.
    }
  }

  /** The pid of the launcher that holds the folder; undefined when it is gone. */
  #launcher(): number | undefined {
    try {
      const [pid = "", start] = readFileSync(path.join(this.folder, "launcher.pid"), "utf8").trim().split(" ");
      return startOf(Number(pid)) === start ? Number(pid) : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Not by a recursive mkdir: where the folder above takes none (TMPDIR=/proc), Node 20 never comes back from it. */
function makeParent(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === "EEXIST") return;
    throw new LaunchError(`no folder for logs can be made in ${path.dirname(folder)}: ${(e as Error).message}; set TMPDIR`);
  }
}
