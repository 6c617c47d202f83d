// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { normals } from "../draws.js";
import { bound, Differences } from "../sequential.js";

const ALPHA = 0.05;

test("looked at after every pair, no difference is found where there is none more often than promised", (t) => {
  const RUNS = 2000;
  let wrong = 0;
  for (let run = 0; run < RUNS; run++) {
    const draw = normals(run + 1);
    const d = new Differences();
    for (let n = 0; n < 400; n++) {
      d.add(0.15 * draw());
      const { low, high } = d.interval(ALPHA);
      if (low > 0 || high < 0) {
        wrong++;
        break;
      }
    }
  }
  t.true(wrong / RUNS <= ALPHA, `${wrong} of ${RUNS}`);
});

test("a difference that is there is found, and the interval holds it", (t) => {
  const draw = normals(7);
  const d = new Differences();
  for (let n = 0; n < 1000; n++) d.add(-0.05 + 0.15 * draw());
  const { low, high, mean } = d.interval(ALPHA);
  t.true(high < 0 && low < -0.05 && -0.05 < high, `${low} ${mean} ${high}`);
});

test("the scale of what is measured changes nothing, and two values are never enough", (t) => {
  const [a, b] = [new Differences(), new Differences()];
  const draw = normals(3);
  for (let n = 0; n < 50; n++) {
    const x = draw();
    a.add(x);
    b.add(1000 * x);
  }
  const [i, k] = [a.interval(ALPHA), b.interval(ALPHA)];
  t.true(Math.abs(k.low / i.low - 1000) < 1e-6);
  t.is(bound(1, ALPHA), Number.POSITIVE_INFINITY);
  t.is(bound(2, ALPHA), Number.POSITIVE_INFINITY);
  const same = new Differences();
  same.add(1);
  t.is(same.interval(ALPHA).high, Number.POSITIVE_INFINITY);
});
