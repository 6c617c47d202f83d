// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import {
  CHECK_START,
  type CheckResult,
  type CheckState,
  combine,
  judgeCheck,
  riseNeeded,
  verdictOf,
  verdictStart,
} from "../verdict.js";

const rules = { rise: 2, fall: 3, damping: true };
const ok: CheckResult = { ok: true, reason: "tcp: connected", rttMs: 1 };
const bad: CheckResult = { ok: false, reason: "tcp: connection refused", rttMs: 0 };
const unmade: CheckResult = { ok: false, reason: "ping: the program ping is not installed", rttMs: 0, local: true };
const after = (results: readonly CheckResult[], c: CheckState = CHECK_START, now = 1): CheckState =>
  results.reduce((s, r) => judgeCheck(s, r, rules, now), c);
const state = (s: CheckState["state"], reason = s): CheckState => ({ ...CHECK_START, state: s, reason });

test("a server never seen is up at its first good check, down only after `fall` bad ones", (t) => {
  t.is(after([ok]).state, "UP");
  t.is(after([bad, bad]).state, "UNKNOWN");
  const down = after([bad, bad, bad]);
  t.deepEqual([down.state, down.reason], ["DOWN", "tcp: connection refused"]);
});

test("one good check among bad ones starts the count anew", (t) => {
  const up = after([ok, bad, bad, ok, bad, bad]);
  t.is(up.state, "UP");
  t.is(after([bad], up).state, "DOWN");
});

test("a server that was down needs `rise` good checks in a row", (t) => {
  const down = after([bad, bad, bad]);
  t.is(after([ok, bad, ok], down).state, "DOWN");
  t.is(after([ok, bad, ok, ok], down).state, "UP");
});

test("a server that goes down again and again must show more; time forgives", (t) => {
  let c = after([ok]);
  const needed: number[] = [];
  for (let i = 0; i < 6; i++) {
    const now = 1000 * i;
    c = after([bad, bad, bad], c, now);
    needed.push(riseNeeded(c, rules, now));
    c = after(
      Array.from({ length: 16 }, () => ok),
      c,
      now,
    );
    t.is(c.state, "UP");
  }
  t.deepEqual(needed, [2, 2, 4, 8, 16, 16]);
  t.is(riseNeeded(c, rules, 600_000), 2);
  t.is(riseNeeded(c, { ...rules, damping: false }, 5000), 2);
});

test("a check that could not be made here says nothing of the server", (t) => {
  const none = after([unmade, unmade, unmade, unmade]);
  t.deepEqual([none.state, none.reason, none.unmade], ["UNKNOWN", unmade.reason, true]);
  t.is(after([unmade], after([ok])).state, "UP");
  t.is(after([unmade], after([bad, bad, bad])).state, "DOWN");
  t.false(after([unmade, bad]).unmade);
});

test("several checks: all must be good, or one of them", (t) => {
  const words = (any: boolean, ...s: CheckState["state"][]): string =>
    combine(
      s.map((x) => state(x)),
      any,
    ).state;
  t.is(words(false, "UP", "UP"), "UP");
  t.is(words(false, "UP", "DOWN"), "DOWN");
  t.is(words(false, "UP", "UNKNOWN"), "UNKNOWN");
  t.is(words(false, "UNKNOWN", "DOWN"), "DOWN");
  t.is(words(true, "UP", "DOWN"), "UP");
  t.is(words(true, "DOWN", "DOWN"), "DOWN");
  t.is(words(true, "DOWN", "UNKNOWN"), "UNKNOWN");
  t.is(words(true, "UNKNOWN", "UP"), "UP");
  t.is(combine([], false).state, "UP", "where nothing is checked there is nothing to wait for");
});

test("a check that cannot be made here has no say beside others, and nobody waits for it", (t) => {
  const dead = { ...state("UNKNOWN"), unmade: true };
  t.is(combine([state("UP"), dead], false).state, "UP");
  t.is(combine([state("DOWN"), dead], true).state, "DOWN");
  const alone = combine([dead], false);
  t.deepEqual([alone.state, alone.pending], ["UNKNOWN", false]);
  t.true(combine([state("UNKNOWN")], false).pending);
});

const says = (s: "UP" | "DOWN" | "UNKNOWN", pending = false) => ({ state: s, reason: s, rttMs: 0, pending });

test("flows put a server out whatever checks say; then checks decide, and without a word of theirs it is tried again", (t) => {
  let v = verdictOf(verdictStart(0, false), says("UP"), null, true, 1);
  v = verdictOf(v, says("UP"), "passive: refused", true, 2);
  t.deepEqual([v.state, v.since, v.reason], ["DOWN", 2, "passive: refused"]);
  t.is(verdictOf(v, says("DOWN"), null, true, 3).state, "DOWN");
  t.is(verdictOf(v, says("UP"), null, true, 3).state, "UP");
  t.is(verdictOf(v, says("UNKNOWN"), null, true, 3).state, "UP");
  const byCheck = verdictOf(v, says("DOWN"), null, true, 3);
  t.is(verdictOf(byCheck, says("UNKNOWN"), null, true, 4).state, "DOWN", "what a check said stands until another says otherwise");
});

test("a server that no check has judged yet waits, unless none can, or need not", (t) => {
  const start = verdictStart(0, true);
  t.true(verdictOf(start, says("UNKNOWN", true), null, true, 1).waiting);
  t.false(verdictOf(start, says("UNKNOWN", false), null, true, 1).waiting);
  t.false(verdictOf(start, says("UNKNOWN", true), null, false, 1).waiting);
  t.false(verdictOf(start, says("UP"), null, true, 1).waiting);
});
