// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { chaos } from "../run.js";

test.serial("two minutes of faults, one at a time and in pairs: no order lost, no request lost, no drain broken", async (t) => {
  t.timeout(600_000);
  const r = await chaos({ seconds: 120, seed: 20_261_128, say: (line) => t.log(line) });
  t.deepEqual(
    { ...r, faults: null, orders: null, requests: 0, rounds: 0, excused: 0 },
    {
      rounds: 0,
      faults: null,
      orders: null,
      requests: 0,
      excused: 0,
      ordersLost: [],
      requestsLost: [],
      drainsBroken: [],
    },
  );
  t.true(r.requests > 500 && (r.orders.get("ok") ?? 0) > 50 && r.rounds > 2);
});
