// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { addGrowth, BUCKETS, END_MS, edgesUs, quantileMs } from "../histogram.js";

test("edges are those of hist.h: 64, then two an octave", (t) => {
  t.deepEqual(edgesUs.slice(0, 6), [0, 64, 96, 128, 192, 256]);
  t.is(edgesUs[31], 64 * 2 ** 15);
  t.true(END_MS > 3_600_000, "the longest time-out lies within");
});

test("quantiles are linear within a bucket; none without samples", (t) => {
  const c = new Float64Array(BUCKETS);
  t.is(quantileMs(c, 0.5), -1);
  c[3] = 100; // 128..192 us
  t.is(quantileMs(c, 0.5), 0.16);
  t.is(quantileMs(c, 1), 0.192);
  c[5] = 100; // 256..384 us
  t.is(quantileMs(c, 0.75), 0.32);
});

test("a quantile beyond the last edge is not a number that looks like one", (t) => {
  const c = new Float64Array(BUCKETS);
  c[BUCKETS - 1] = 2;
  c[3] = 2;
  t.is(quantileMs(c, 0.99), Number.POSITIVE_INFINITY);
  t.is(quantileMs(c, 0.25), 0.16);
});

test("growth is taken modulo 2^32 and from the server's place in each frame", (t) => {
  const before = new Uint32Array(2 * BUCKETS);
  const after = new Uint32Array(2 * BUCKETS);
  before[BUCKETS] = 4_294_967_290;
  after[0] = 4;
  const sum = new Float64Array(BUCKETS);
  addGrowth(sum, after, 0, before, BUCKETS);
  t.is(sum[0], 10);
});
