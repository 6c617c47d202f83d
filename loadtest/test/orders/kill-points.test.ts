// SPDX-License-Identifier: Apache-2.0
// The bounded version of failover.file_store.kill_points.
import test from "ava";
import { killPoints, POINTS_AN_ORDER } from "../../bench/orders/kill-points.js";

test("kill -9 at every point of an order's write: what was answered OK is there afterwards", async (t) => {
  const r = await killPoints(POINTS_AN_ORDER + 3, 2, () => {});
  t.log(`${r.killed} kills, ${r.orders} orders answered OK`);
  t.deepEqual(r.lost, []);
  t.true(r.killed >= POINTS_AN_ORDER + 3);
});
