// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { PACE_MS, Pace } from "../pace.js";

test("time between two beats that were late counts as standing still, a little lateness does not", (t) => {
  let now = 0;
  const pace = new Pace(() => now);
  for (now = PACE_MS; now <= 10 * PACE_MS; now += PACE_MS + 5) pace.beat();
  t.is(pace.still(), 0);
  pace.beat();
  now += PACE_MS + 800;
  t.is(pace.still(), 800, "also before the beat that is due");
  pace.beat();
  t.is(pace.still(), 800);
  now += PACE_MS;
  pace.beat();
  t.is(pace.still(), 800);
});
