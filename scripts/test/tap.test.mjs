// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { parseTap } from "../lib/tap.mjs";

test("results are counted, a failure keeps the checks printed before it and what follows", (t) => {
  const text = "1..3\nok 1 - a\n# f.c:7: x == 1\nnot ok 2 - b\nmore\nok 3 - c # SKIP no AVX2\n";
  const r = parseTap("f", text, 1);
  t.deepEqual([r.passed, r.failed, r.skipped], [1, 1, 1]);
  t.deepEqual(r.failures, [{ name: "f: b", detail: ["# f.c:7: x == 1", "more"] }]);
  t.deepEqual(r.skips, [{ name: "f: c", why: "no AVX2" }]);
});

test("why a test was skipped may stand in its title, as ava leaves it", (t) => {
  const r = parseTap("ava", "1..1\nok 1 - a tick (200 ms) is one trace (needs jaeger) # SKIP\n", 0);
  t.deepEqual(r.skips, [{ name: "ava: a tick (200 ms) is one trace", why: "needs jaeger" }]);
});

test("a program that stops in the middle, or prints nothing, is a failure", (t) => {
  t.is(parseTap("f", "1..2\nok 1 - a\n", 0).failed, 1);
  t.is(parseTap("f", "1..2\nok 1 - a\nok 2 - b\n", 139).failed, 1);
  t.is(parseTap("f", "", 0).failed, 1);
  t.is(parseTap("f", "1..0\n", 0).failed, 0);
});
