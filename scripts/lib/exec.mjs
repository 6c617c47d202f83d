// SPDX-License-Identifier: Apache-2.0
// Running commands: captured, or streamed line by line. Plain Node, so that it works before node_modules is there.
import { spawn } from "node:child_process";
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

/**
 * Runs a command without a shell and without stdin; never rejects. `onLine` sees each line of stdout and stderr as it comes.
 * What it started must be gone graceMs after it: what still holds its output then is killed, and told.
 * @returns {Promise<{code: number, out: string}>} code 127 when the command does not exist, 124 after timeoutMs, 125 when it
 *   ended well but left processes
 */
export function exec(command, args, { cwd = root, env = {}, onLine, timeoutMs = 0, graceMs = 10_000 } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const stop = () => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // It ended by itself meanwhile.
      }
    };
    let out = "";
    let timedOut = false;
    const timer = timeoutMs > 0 ? setTimeout(() => ((timedOut = true), stop()), timeoutMs) : undefined;
    const onSignal = (signal) => {
      stop();
      process.exit(signal === "SIGINT" ? 130 : 143);
    };
    for (const s of ["SIGINT", "SIGTERM"]) process.once(s, onSignal);
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8");
      stream.on("data", (chunk) => {
        out += chunk;
        if (!onLine) return;
        const lines = (rest + chunk).split("\n");
        rest = lines.pop();
        for (const line of lines) onLine(line);
      });
      stream.on("end", () => rest && onLine?.(rest));
    }
    let left;
    let leftTimer;
    const done = (code, extra = "") => {
      clearTimeout(timer);
      clearTimeout(leftTimer);
      for (const s of ["SIGINT", "SIGTERM"]) process.off(s, onSignal);
      resolve({ code, out: out + extra });
    };
    child.on("error", (e) => done(127, `${command}: ${e.message}\n`));
    child.on("exit", () => {
      leftTimer = setTimeout(() => {
        left = processesOf(child.pid);
        stop();
      }, graceMs);
    });
    child.on("close", (code) => {
      if (timedOut) done(124, `\n${command} ran longer than ${timeoutMs / 1000} s\n`);
      else if (left) done(code || 125, `\n${command} ended, but left running (killed now): ${left.join(", ")}\n`);
      else done(code ?? 1);
    });
  });
}

/** Command lines of a process group, where the system tells. */
function processesOf(group) {
  const found = [];
  for (const pid of readdirSync("/proc").filter((n) => /^\d+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]) !== group) continue;
      found.push(readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim().slice(0, 200));
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

/** Full path of a command, or undefined. */
export function which(name) {
  if (name.includes("/")) return name;
  for (const dir of (process.env.PATH ?? "").split(path.delimiter)) {
    const file = path.join(dir, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** A command that npm installed. */
export const bin = (name) => path.join(root, "node_modules/.bin", name);
