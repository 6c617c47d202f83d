// SPDX-License-Identifier: Apache-2.0
// failover.* rows that failover's stores answer for: no order that was answered OK is ever lost.
import type { BenchOptions, Group } from "../harness.js";
import { row } from "../row.js";
import { killPoints } from "./kill-points.js";

const POINTS = 1020;
const QUICK_POINTS = 60;
/** Stores at once: a life is mostly the start of a process. */
const LANES = 3;

async function run(o: BenchOptions): Promise<void> {
  const r = await killPoints(o.quick ? QUICK_POINTS : POINTS, LANES, o.progress);
  const note = `kill -9 of failover before, in and after each mkdir, open, write, sync, rename; ${r.orders} orders answered OK`;
  o.report(row("failover.file_store.kill_points", "", ">= 1000", exact(r.killed), note));
  const lost = r.lost.length === 0 ? "states and histories that a next life did not know" : r.lost.slice(0, 3).join("; ");
  o.report(row("failover.file_store.states_lost", "", "<= 0", exact(r.lost.length), lost));
}

const exact = (value: number) => ({ value, low: value, high: value, n: 1 });

export const orders: Group = { ids: ["failover.file_store"], run };
