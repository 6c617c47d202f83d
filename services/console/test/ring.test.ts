// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { Ring, TIERS } from "../ring.js";

const T0 = 1_700_000_000_000;
const fine = TIERS[0] as (typeof TIERS)[number];

test("points of one second are folded as their column says; seconds without one stay unknown", (t) => {
  const r = new Ring(["mean", "max", "last"]);
  r.put(T0 + 100, [1, 5, 7]);
  r.put(T0 + 500, [3, 4, 8]);
  r.put(T0 + 3000, [10, 10, 10]);
  const read = (c: number) => r.read(0, c, T0 + 3000, 5);
  t.deepEqual(read(0), [null, 2, null, null, 10]);
  t.deepEqual(read(1), [null, 5, null, null, 10]);
  t.deepEqual(read(2), [null, 8, null, null, 10]);
});

test("a value that is unknown leaves the others of its point", (t) => {
  const r = new Ring(["mean", "mean"]);
  r.put(T0, [Number.NaN, 4]);
  r.put(T0 + 1, [6, Number.POSITIVE_INFINITY]);
  t.deepEqual([r.read(0, 0, T0, 1), r.read(0, 1, T0, 1)], [[6], [4]]);
});

test("it forgets what is older than its span, and each tier has its own", (t) => {
  const r = new Ring(["mean"]);
  for (let i = 0; i < fine.n + 30; i++) r.put(T0 + i * 1000, [i]);
  const until = T0 + (fine.n + 29) * 1000;
  const seconds = r.read(0, 0, until, fine.n + 30);
  t.deepEqual(
    seconds.slice(0, 30),
    Array.from({ length: 30 }, () => null),
  );
  t.is(seconds[30], 30);
  t.is(seconds.at(-1), fine.n + 29);
  const tens = r.read(1, 0, until, 63);
  t.is(tens.at(-1), fine.n + 24.5);
  t.is(tens[0], 4.5);
});

test("a clock that jumps back begins anew; one that jumps ahead leaves a gap", (t) => {
  const r = new Ring(["last"]);
  r.put(T0, [1]);
  r.put(T0 + 3_600_000, [2]);
  t.deepEqual(r.read(0, 0, T0 + 3_600_000, 2), [null, 2]);
  r.put(T0 - 60_000, [3]);
  t.deepEqual(r.read(0, 0, T0 - 60_000, 2), [null, 3]);
  t.deepEqual(r.read(0, 0, T0 + 3_600_000, 1), [null]);
});

test("a span is read from the finest tier that holds it", (t) => {
  t.deepEqual(Ring.tierOf(600_000), { tier: 0, step: 1000, n: 600 });
  t.deepEqual(Ring.tierOf(600_001), { tier: 1, step: 10_000, n: 61 });
  t.deepEqual(Ring.tierOf(86_400_000), { tier: 2, step: 60_000, n: 1440 });
  t.is(Ring.tierOf(1e12).n, 1440);
});
