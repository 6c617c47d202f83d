// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { flat, growth, type Point } from "../flat.js";

const series = (f: (i: number) => number): Point[] => Array.from({ length: 60 }, (_, i) => ({ t: i * 10, value: f(i) }));

test("a series that only wavers is flat, a peak does not matter", (t) => {
  const saw = series((i) => 100 + (i % 7) + (i === 30 ? 500 : 0));
  t.true(flat(saw, 0.05, 0).flat);
});

test("a slow leak is seen under a sawtooth", (t) => {
  const leak = series((i) => 100 + (i % 7) + i);
  t.false(flat(leak, 0.2, 0).flat);
  t.true(growth(leak) > 50 && growth(leak) < 70);
});

test("what is small in itself may grow by the least that counts", (t) => {
  t.true(
    flat(
      series((i) => i / 10),
      0.05,
      8,
    ).flat,
  );
  t.false(
    flat(
      series((i) => i / 10),
      0.05,
      2,
    ).flat,
  );
});

test("a series that falls is flat", (t) => {
  t.true(
    flat(
      series((i) => 100 - i),
      0.01,
      0,
    ).flat,
  );
});
