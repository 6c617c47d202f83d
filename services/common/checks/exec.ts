// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import * as z from "zod";
import { CheckFailed, defineCheck } from "./check.js";

/** Its output is for people: this much of it goes into the verdict's reason. */
const OUTPUT_LIMIT = 200;

/** A program of the operator's. It runs without a shell, in a process group of its own, so that nothing of it is left at the deadline. */
export const check = defineCheck({
  kind: "exec",
  help: "the program `exec` ends with 0; it finds SERVER_HOST and SERVER_PORT in its environment",
  schema: {
    exec: z.array(z.string().max(1000)).max(32).default([]),
  },
  run: ({ host, port }, options, signal) =>
    new Promise((resolve, reject) => {
      const [program, ...args] = options.exec;
      if (program === undefined) {
        reject(new CheckFailed("no program is set", true));
        return;
      }
      const { PATH = "" } = process.env;
      const child = spawn(program, args, {
        env: { PATH, SERVER_HOST: host, SERVER_PORT: String(port) },
        stdio: ["ignore", "pipe", "ignore"],
        detached: true,
      });
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        output = (output + text).slice(0, OUTPUT_LIMIT);
      });
      const running = (): boolean => child.exitCode === null && child.signalCode === null;
      signal.addEventListener("abort", () => running() && endGroup(child.pid), { once: true });
      child.on("error", (e) => reject(new CheckFailed(`${program} cannot be run: ${e.message}`, true)));
      child.on("close", (code, by) => {
        const said = output.trim() === "" ? "" : `: ${output.trim().replaceAll(/[^\x20-\x7e]/g, " ")}`;
        if (code === 0) resolve(`ended with 0${said}`);
        else reject(new CheckFailed(code === null ? `ended by ${by}${said}` : `ended with ${code}${said}`));
      });
    }),
});

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== "ESRCH") throw e; // it ended by itself
  }
}
