// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { firstTerm, nextTerm, outside, VERSION_REACH, versionOf } from "../terms.js";

test("terms grow with what is seen, and above all with what is wanted", (t) => {
  const a = nextTerm(3, 0);
  const b = nextTerm(3, a);
  t.true(b > a);
  t.true(nextTerm(4, b) > b);
  t.deepEqual([a, b, nextTerm(4, b)].map(versionOf), [3, 3, 4]);
  t.true(nextTerm(3, firstTerm(4) + 5) > firstTerm(4) + 5, "they grow too where one version's terms are used up");
});

test("a replica with an older intent cannot overrule", (t) => {
  let old = nextTerm(3, 0);
  for (let i = 0; i < 10_000; i++) old = nextTerm(3, old);
  t.true(old < nextTerm(4, 0));
});

test("a term from outside is believed within reach only", (t) => {
  const ours = nextTerm(3, 0);
  t.is(outside(ours, 3, ours), "old");
  t.is(outside(ours + 5, 3, ours), "follow");
  t.is(outside(firstTerm(4), 3, ours), "later");
  t.is(outside(firstTerm(3 + VERSION_REACH), 3, ours), "later");
  t.is(outside(firstTerm(4 + VERSION_REACH), 3, ours), "foreign");
  for (const n of [2 ** 53, 2 ** 64, Number.POSITIVE_INFINITY, Number.NaN, 1.5 + ours])
    t.is(outside(n, 3, ours), "foreign", `${n}`);
});
