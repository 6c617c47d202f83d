// SPDX-License-Identifier: Apache-2.0
// Runs one VPP for the launcher: starts it, gives it its commands, says ready, stops it when stdin ends. usage: vpp.js JOB.json
import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

export interface VppJob {
  vpp: string;
  vppctl: string;
  startup: string;
  socket: string;
  commands: string[];
}

const run = promisify(execFile);
const job = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as VppJob;
const vpp = spawn(job.vpp, ["-c", job.startup], { stdio: ["ignore", "inherit", "inherit"] });
vpp.on("error", (e) => fail(`${job.vpp}: ${e.message}`));
vpp.on("exit", (code, signal) => process.exit(stopping ? 0 : (fail(`vpp ended (${signal ?? code})`), 1)));

let stopping = false;
function stop(): void {
  if (stopping) return;
  stopping = true;
  vpp.kill("SIGTERM");
  setTimeout(() => vpp.kill("SIGKILL"), 3000).unref();
}
function fail(why: string): void {
  process.stderr.write(`${why}\n`);
}
process.stdin.on("end", stop).on("error", stop).resume();
process.on("SIGTERM", stop);
process.on("SIGINT", () => {}); // Ctrl-C is the launcher's to act on

async function cli(command: string): Promise<string> {
  const { stdout } = await run(job.vppctl, ["-s", job.socket, command], { timeout: 20_000 });
  return stdout.trim();
}

async function up(): Promise<void> {
  for (let i = 0; ; i++) {
    try {
      await cli("show version");
      break;
    } catch (e) {
      if (i >= 200 || stopping) throw e;
      await sleep(100);
    }
  }
  for (const c of job.commands) {
    const out = await cli(c);
    // What a command prints when it did as told is nothing, or the name of the interface it made.
    if (out !== "" && !/^host-\S+$/.test(out)) throw new Error(`vpp refused \`${c}\`: ${out}`);
  }
  process.stdout.write(`${JSON.stringify({ ready: true, pid: vpp.pid })}\n`);
}

up().catch((e: unknown) => {
  fail((e as Error).message);
  process.exitCode = 1;
  stop();
});
