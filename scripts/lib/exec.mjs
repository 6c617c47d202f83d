// SPDX-License-Identifier: Apache-2.0
// Running commands: captured, or streamed line by line. Plain Node, so that it works before node_modules is there.
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

/**
 * Runs a command without a shell and without stdin; never rejects. `onLine` sees each line of stdout and stderr as it comes.
 * @returns {Promise<{code: number, out: string}>} code 127 when the command does not exist, 124 after timeoutMs
 */
export function exec(command, args, { cwd = root, env = {}, onLine, timeoutMs = 0 } = {}) {
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
    const done = (code, extra = "") => {
      clearTimeout(timer);
      for (const s of ["SIGINT", "SIGTERM"]) process.off(s, onSignal);
      resolve({ code, out: out + extra });
    };
    child.on("error", (e) => done(127, `${command}: ${e.message}\n`));
    child.on("close", (code) => (timedOut ? done(124, `\n${command} ran longer than ${timeoutMs / 1000} s\n`) : done(code ?? 1)));
  });
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
