// SPDX-License-Identifier: Apache-2.0
// failover.* rows that failover's stores answer for: no order that was answered OK is ever lost.

import { Etcd, etcdMissing } from "../../../testbed/etcd.js";
import type { BenchOptions, Group } from "../harness.js";
import { exact, quantile, row } from "../row.js";
import { etcdAway, Fleet, killedTimes, orderTimes, TICK_MS } from "./in-force.js";
import { killPoints } from "./kill-points.js";

const POINTS = 1020;
const QUICK_POINTS = 60;
/** Stores at once: a life is mostly the start of a process. */
const LANES = 3;
/** Of six orders each. */
const ROUNDS = 40;
const QUICK_ROUNDS = 5;
const KILLS = 12;
const QUICK_KILLS = 3;

async function kills(o: BenchOptions): Promise<void> {
  const r = await killPoints(o.quick ? QUICK_POINTS : POINTS, LANES, o.progress);
  const note = `kill -9 of failover before, in and after each mkdir, open, write, sync, rename; ${r.orders} orders answered OK`;
  o.report(row("failover.file_store.kill_points", "", ">= 1000", exact(r.killed, 1), note));
  const lost = r.lost.length === 0 ? "states and histories that a next life did not know" : r.lost.slice(0, 3).join("; ");
  o.report(row("failover.file_store.states_lost", "", "<= 0", exact(r.lost.length, 1), lost));
}

/** How soon an order is in force at all of four load balancers that share one failover. */
async function ticks(o: BenchOptions): Promise<void> {
  const fleet = await Fleet.start(0);
  try {
    const times = await orderTimes(fleet, o.quick ? QUICK_ROUNDS : ROUNDS, o.progress);
    const of = (names: readonly string[]): number[] => names.flatMap((n) => times.get(n) ?? []).map((ms) => ms / TICK_MS);
    const note = `answered OK to in force at all of 4 load balancers, tick ${TICK_MS} ms; looked at in frames, every half tick`;
    o.report(row("failover.order_ticks_p99", "ticks", "<= 2", quantile(of([...times.keys()]), 0.99), note));
    for (const name of ["drain", "override", "pool"])
      o.report(row(`failover.order_ticks_p99.${name}`, "ticks", "", quantile(of([name]), 0.99), "of these alone"));
  } finally {
    await fleet.stop();
  }
}

const REPLICAS = 3;

async function replicas(o: BenchOptions): Promise<void> {
  const ids = ["failover.replica_killed.order_s", "failover.etcd_away.refused", "failover.etcd_away.forgotten"] as const;
  if (etcdMissing !== null) {
    for (const id of ids) o.report(row(id, "", "", null, etcdMissing));
    return;
  }
  const etcd = await Etcd.start();
  const fleet = await Fleet.start(REPLICAS, etcd).catch(async (e: unknown) => {
    await etcd.stop();
    throw e;
  });
  try {
    const seconds = await killedTimes(fleet, o.quick ? QUICK_KILLS : KILLS, o.progress);
    const note = `kill -9 of one of ${REPLICAS} replicas to an order given then, in force at all of 4 load balancers; the longest`;
    const longest = Math.max(...seconds);
    o.report(row(ids[0], "s", "<= 2", { value: longest, low: Math.min(...seconds), high: longest, n: seconds.length }, note));
    const away = await etcdAway(fleet, etcd);
    const share = away.refused / away.given;
    o.report(row(ids[1], "share", ">= 1", exact(share, 1), `of ${away.given} orders given while etcd was away`));
    const lost =
      away.forgotten.length === 0 ? "orders answered OK before, at 4 load balancers" : away.forgotten.slice(0, 3).join("; ");
    o.report(row(ids[2], "", "<= 0", exact(away.forgotten.length, 1), lost));
  } finally {
    await fleet.stop();
    await etcd.stop();
  }
}

async function run(o: BenchOptions): Promise<void> {
  if (o.wants("failover.order_ticks_p99")) await ticks(o);
  if (o.wants("failover.replica_killed") || o.wants("failover.etcd_away")) await replicas(o);
  if (o.wants("failover.file_store")) await kills(o);
}

export const orders: Group = {
  ids: ["failover.order_ticks_p99", "failover.replica_killed", "failover.etcd_away", "failover.file_store"],
  run,
};
