// SPDX-License-Identifier: Apache-2.0
// health.* rows: how many servers one process checks in time, and how long a list of verdicts passes to a reader.
import os from "node:os";
import path from "node:path";
import { NODE_ARGS } from "../../services/common/node-args.js";
import { projectRoot } from "../../services/common/root.js";
import { Child, pinned } from "../../testbed/process.js";
import type { BenchOptions, Group } from "./harness.js";
import { startOrigin } from "./load.js";
import { exact, row } from "./row.js";

const STEPS = [2500, 5000, 6000, 7000, 8000, 10_000, 12_000];
const LATE_MS = 50;
const LOAD_BALANCERS = 1000;
const SERVERS = 4096;

interface Checked {
  checks: number;
  failed: number;
  cpu: number;
  lateP99: number;
}

async function ran<T>(program: string, nodeArgs: readonly string[], args: readonly (string | number)[]): Promise<T> {
  const file = path.join(projectRoot, "dist/loadtest/bench/health", program);
  const child = new Child(pinned("0", [process.execPath, ...nodeArgs, file, ...args.map(String)]));
  const text = await child.line(600_000);
  await child.exited;
  return JSON.parse(text) as T;
}

/** The most servers that are checked every second, none of them failing and 99 % of the checks less than 50 ms late. */
async function targets({ quick, report, progress }: BenchOptions): Promise<void> {
  // Of the whole loopback network.
  const origin = await startOrigin(os.availableParallelism(), "--listen", "0.0.0.0:0");
  const ms = quick ? 3000 : 15_000;
  let best = 0;
  const notes: string[] = [];
  try {
    for (const n of STEPS) {
      const r = await ran<Checked>("checks-main.js", NODE_ARGS, [n, origin.port, ms]);
      const note = `${n}: ${r.lateP99.toFixed(1)} ms late, ${(100 * r.cpu).toFixed(0)} % of a core, ${r.failed} failed`;
      progress(note);
      notes.push(note);
      if (r.failed > 0 || r.lateP99 >= LATE_MS || r.checks < (0.9 * n * ms) / 1000) break;
      best = n;
    }
  } finally {
    await origin.child.stop();
  }
  const estimate = exact(best, notes.length);
  report(row("health.targets_per_core", "servers", ">= 5000", estimate, `TCP, every second; p99: ${notes.join("; ")}`));
}

async function entries({ quick, report }: BenchOptions): Promise<void> {
  const loadBalancers = quick ? LOAD_BALANCERS / 100 : LOAD_BALANCERS;
  const r = await ran<{ entries: number; largestPart: number; seconds: number; known: number; memory: number }>(
    "watch-main.js",
    ["--max-old-space-size=4096"],
    [loadBalancers, SERVERS],
  );
  const passed = r.known === SERVERS && r.largestPart <= 1000 ? r.entries : 0;
  const note = `${loadBalancers} load balancers x ${SERVERS} servers in ${r.seconds.toFixed(1)} s, ${r.largestPart} a message at most, ${r.memory.toFixed(0)} MiB for both ends`;
  report(row("health.watch_entries", "entries", ">= 4000000", exact(passed, 1), note));
}

export const health: Group = {
  ids: ["health.targets_per_core", "health.watch_entries"],
  async run(o) {
    if (o.wants("health.watch_entries")) await entries(o);
    if (o.wants("health.targets_per_core")) await targets(o);
  },
};
