// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import {
  complaint,
  eject,
  isOut,
  learnFlows,
  NO_FLOWS,
  PASSIVE_START,
  type Passive,
  rateAfter,
  unlikePeers,
} from "../passive.js";

const flows = (unanswered: number, refusals: number, badEnds: number, successes: number) => ({
  ...{ unanswered, refusals, badEnds, successes },
});
const rate = (badEnds: number, successes: number) => ({ badEnds, successes, at: 0 });
type Counts = Parameters<typeof flows>;

function after(all: readonly Counts[], p: Passive = PASSIVE_START): { p: Passive; why: string | null } {
  let why: string | null = null;
  let now = p.rate.at;
  for (const counts of all) {
    now += 100;
    p = learnFlows(p, flows(...counts), now);
    why ??= complaint(p, flows(...counts), 3, NO_FLOWS);
  }
  return { p, why };
}

test("connects that fail in a row are down, a success between them is not", (t) => {
  t.is(
    after([
      [2, 0, 0, 0],
      [0, 0, 0, 1],
      [1, 1, 0, 0],
    ]).why,
    null,
  );
  t.is(after([[0, 0, 5, 0]]).why, null, "bad ends may be a client's");
  t.regex(
    after([
      [2, 0, 0, 0],
      [0, 1, 0, 0],
    ]).why ?? "",
    /^passive: 3 failures in a row, last refusals/,
  );
  t.is(complaint(after([[9, 0, 0, 0]]).p, flows(9, 0, 0, 0), 0, NO_FLOWS), null, "it can be off");
});

test("bad ends that all servers of a pool meet are a client's, whatever their number", (t) => {
  t.false(unlikePeers(rate(1000, 0), rate(2000, 0)), "nothing but poison");
  t.false(unlikePeers(rate(12, 8), rate(24, 16)));
  t.false(unlikePeers(rate(6, 0), rate(8, 12)), "a run of bad luck");
  t.false(unlikePeers(rate(10, 160), rate(20, 320)));
  t.false(unlikePeers(rate(50, 0), rate(0, 0)), "no peer serves");
});

test("bad ends of one server alone are its own", (t) => {
  t.true(unlikePeers(rate(7, 0), rate(0, 14)));
  t.true(unlikePeers(rate(60, 40), rate(4, 196)));
  t.false(unlikePeers(rate(40, 60), rate(0, 200)), "it serves most");
  t.true(unlikePeers(rate(1e6, 1e5), rate(1, 1e6)), "large counts");
  t.true(unlikePeers(rate(2 ** 63, 1e9), rate(1, 1e6)), "counts of a frame that lies");
});

test("one whose flows alone end badly is complained of within a few flows, and old ones fade", (t) => {
  let p = PASSIVE_START;
  let why: string | null = null;
  for (let i = 1; i <= 8; i++) {
    p = learnFlows(p, flows(0, 0, 1, 0), i * 100);
    why ??= complaint(p, flows(0, 0, 1, 0), 3, rate(0, 3 * i));
  }
  t.regex(why ?? "", /^passive: \d+ of \d+ flows reset or ended without a byte of late, at its peers 0 of \d+$/);
  t.true(rateAfter(p.rate, NO_FLOWS, 60_000).badEnds < 0.1);
});

test("put out again soon after, it is out twice as long, up to sixteen times; left alone, as at first", (t) => {
  let p = PASSIVE_START;
  let now = 0;
  const holds: number[] = [];
  for (let i = 0; i < 7; i++) {
    p = eject(p, "why", 100, now);
    holds.push(p.until - now);
    t.true(isOut(p, p.until - 1));
    t.false(isOut(p, p.until));
    now = p.until;
  }
  t.deepEqual(holds, [100, 200, 400, 800, 1600, 1600, 1600]);
  t.is(eject(p, "why", 100, now + 3_600_000).until, now + 3_600_100);
});
