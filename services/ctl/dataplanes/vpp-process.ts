// SPDX-License-Identifier: Apache-2.0
// The launcher's VPP: starts one where it is to be the launcher's own, keeps it what the configuration wants, says ready, stops it when
// stdin ends. Without one of its own it keeps a VPP that runs already. usage: vpp-process.js JOB.json
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { keepVpp, VppRefused, vppCli } from "./vpp-keeper.js";
import type { Wanted } from "./vpp-wanted.js";

export interface VppJob {
  /** The launcher's own; null: one that runs already. */
  own: { vpp: string; startup: string; interfaces: string[] } | null;
  vppctl: string;
  socket: string;
  wanted: Wanted;
}

const job = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as VppJob;
const cli = vppCli(job.vppctl, job.socket);
const stopping = new AbortController();
let vpp: ChildProcess | undefined;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

function stop(): void {
  if (stopping.signal.aborted) return;
  stopping.abort();
  if (!vpp) return;
  vpp.kill("SIGTERM");
  setTimeout(() => vpp?.kill("SIGKILL"), 3000).unref();
}
process.stdin.on("end", stop).on("error", stop).resume();
process.on("SIGTERM", stop);
process.on("SIGINT", () => {}); // Ctrl-C is the launcher's to act on

async function startOwn(own: NonNullable<VppJob["own"]>): Promise<void> {
  vpp = spawn(own.vpp, ["-c", own.startup], { stdio: ["ignore", "inherit", "inherit"] });
  vpp.on("error", (e) => say(`${own.vpp}: ${e.message}`));
  vpp.on("exit", (code, signal) => {
    if (!stopping.signal.aborted) say(`vpp ended (${signal ?? code})`);
    process.exit(stopping.signal.aborted ? Number(process.exitCode ?? 0) : 1);
  });
  for (let i = 0; ; i++) {
    try {
      await cli("show version");
      break;
    } catch (e) {
      if (i >= 200 || stopping.signal.aborted) throw e;
      await sleep(100);
    }
  }
  for (const c of own.interfaces) {
    const out = await cli(c);
    // What a command prints when it did as told is nothing, or the name of the interface it made.
    if (out !== "" && !/^host-\S+$/.test(out)) throw new VppRefused(c, out);
  }
}

async function main(): Promise<void> {
  let ready = false;
  if (job.own) await startOwn(job.own);
  await keepVpp(cli, job.wanted, {
    socket: job.socket,
    stop: stopping.signal,
    strict: true,
    said({ done, refused, away }) {
      for (const line of [...done, ...refused, ...(away === undefined ? [] : [`vpp is away: ${away}`])]) say(line);
      if (ready || away !== undefined || refused.length > 0) return;
      ready = true;
      process.stdout.write(`${JSON.stringify({ ready: true, pid: vpp?.pid ?? process.pid })}\n`);
    },
  });
}

main().then(
  () => vpp ?? process.exit(0),
  (e: unknown) => {
    say((e as Error).message);
    process.exitCode = 1;
    stop();
    if (!vpp) process.exit(1);
  },
);
