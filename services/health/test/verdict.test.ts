// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import {
  judgeCheck,
  judgeFlows,
  judgeTime,
  PASSIVE_HOLD_MS,
  rateAfter,
  unlikePeers,
  type VerdictRules,
  verdictStart,
} from "../verdict.js";

const rules: VerdictRules = { rise: 2, fall: 3, passiveFailures: 3, active: true };
const ok = { ok: true, reason: "tcp: connected", rttMs: 1 };
const bad = { ok: false, reason: "tcp: connection refused", rttMs: 0 };
const flows = (unanswered: number, refusals: number, resets: number, successes: number) => ({
  unanswered,
  refusals,
  resets,
  successes,
});

test("a server never seen is up at its first good check, down only after `fall` bad ones", (t) => {
  t.is(judgeCheck(verdictStart(0), ok, rules, 1).state, "UP");
  let v = verdictStart(0);
  v = judgeCheck(v, bad, rules, 1);
  v = judgeCheck(v, bad, rules, 2);
  t.is(v.state, "UNKNOWN");
  v = judgeCheck(v, bad, rules, 3);
  t.is(v.state, "DOWN");
  t.is(v.since, 3);
  t.is(v.reason, "tcp: connection refused");
});

test("one good check among bad ones starts the count anew", (t) => {
  let v = judgeCheck(verdictStart(0), ok, rules, 0);
  for (const r of [bad, bad, ok, bad, bad]) v = judgeCheck(v, r, rules, 1);
  t.is(v.state, "UP");
  t.is(judgeCheck(v, bad, rules, 2).state, "DOWN");
});

test("a server that was down needs `rise` good checks in a row", (t) => {
  let v = verdictStart(0);
  for (let i = 0; i < 3; i++) v = judgeCheck(v, bad, rules, i);
  v = judgeCheck(v, ok, rules, 10);
  t.is(v.state, "DOWN");
  v = judgeCheck(v, bad, rules, 11);
  v = judgeCheck(v, ok, rules, 12);
  t.is(v.state, "DOWN");
  v = judgeCheck(v, ok, rules, 13);
  t.is(v.state, "UP");
  t.is(v.since, 13);
});

test("failures of real flows in a row are down, a success between them is not", (t) => {
  let v = judgeCheck(verdictStart(0), ok, rules, 0);
  v = judgeFlows(v, flows(2, 0, 0, 0), rules, 1);
  v = judgeFlows(v, flows(0, 0, 0, 1), rules, 2);
  v = judgeFlows(v, flows(1, 1, 0, 0), rules, 3);
  t.is(v.state, "UP");
  v = judgeFlows(v, flows(0, 0, 5, 0), rules, 4);
  t.is(v.state, "UP", "resets may be a client's");
  v = judgeFlows(v, flows(0, 1, 0, 0), rules, 4);
  t.is(v.state, "DOWN");
  t.regex(v.reason, /^passive: 3 failures in a row/);
});

test("good checks do not lift a passive verdict before its hold", (t) => {
  let v = judgeFlows(judgeCheck(verdictStart(0), ok, rules, 0), flows(5, 0, 0, 0), rules, 100);
  for (let now = 200; now < 100 + PASSIVE_HOLD_MS; now += 100) v = judgeCheck(v, ok, rules, now);
  t.is(v.state, "DOWN");
  v = judgeCheck(v, ok, rules, 100 + PASSIVE_HOLD_MS);
  t.is(v.state, "UP");
  t.is(v.passiveBad, 0);
});

test("without checks a passive verdict ends by itself", (t) => {
  const passive = { ...rules, active: false };
  const v = judgeFlows(verdictStart(0), flows(0, 3, 0, 0), passive, 0);
  t.is(v.state, "DOWN");
  t.is(judgeTime(v, passive, PASSIVE_HOLD_MS - 1).state, "DOWN");
  t.is(judgeTime(v, passive, PASSIVE_HOLD_MS).state, "UP");
  t.is(judgeTime(v, rules, PASSIVE_HOLD_MS).state, "DOWN");
});

test("without checks what no flow complained of is up: who heard of it before must learn it", (t) => {
  const passive = { ...rules, active: false };
  t.is(judgeTime(verdictStart(0), passive, PASSIVE_HOLD_MS - 1).state, "UNKNOWN");
  t.is(judgeTime(verdictStart(0), passive, PASSIVE_HOLD_MS).state, "UP");
  t.is(judgeTime(verdictStart(0), rules, PASSIVE_HOLD_MS).state, "UNKNOWN");
});

const rate = (resets: number, successes: number) => ({ resets, successes, at: 0 });

test("resets that all servers of a pool meet are a client's, whatever their number", (t) => {
  t.false(unlikePeers(rate(1000, 0), rate(2000, 0)), "nothing but poison");
  t.false(unlikePeers(rate(12, 8), rate(24, 16)));
  t.false(unlikePeers(rate(6, 0), rate(8, 12)), "a run of bad luck");
  t.false(unlikePeers(rate(10, 160), rate(20, 320)));
  t.false(unlikePeers(rate(50, 0), rate(0, 0)), "no peer serves");
});

test("resets of one server alone are its own", (t) => {
  t.true(unlikePeers(rate(7, 0), rate(0, 14)));
  t.true(unlikePeers(rate(60, 40), rate(4, 196)));
  t.false(unlikePeers(rate(40, 60), rate(0, 200)), "it serves most");
  t.true(unlikePeers(rate(1e6, 1e5), rate(1, 1e6)), "large counts");
});

test("one that resets alone is down within a few flows, and old resets fade", (t) => {
  let v = judgeCheck(verdictStart(0), ok, rules, 0);
  let own = rate(0, 0);
  for (let i = 1; i <= 8; i++) {
    own = rateAfter(own, flows(0, 0, 1, 0), i * 100);
    v = judgeFlows(v, flows(0, 0, 1, 0), rules, i * 100, own, rate(0, 3 * i));
  }
  t.is(v.state, "DOWN");
  t.regex(v.reason, /^passive: \d+ of \d+ flows reset of late, at its peers 0 of \d+$/);
  t.true(rateAfter(own, flows(0, 0, 0, 0), 60_000).resets < 0.1);
});

test("passive detection can be off", (t) => {
  t.is(judgeFlows(verdictStart(0), flows(100, 0, 0, 0), { ...rules, passiveFailures: 0 }, 0).state, "UNKNOWN");
});

test("a check that could not be made here says nothing of the server", (t) => {
  const unmade = { ok: false, reason: "ping: the program ping is not installed", rttMs: 0, local: true } as const;
  let v = verdictStart(0);
  for (let i = 0; i < 10; i++) v = judgeCheck(v, unmade, rules, i);
  t.deepEqual([v.state, v.reason], ["UNKNOWN", unmade.reason]);
  const up = judgeCheck(v, ok, rules, 20);
  t.is(judgeCheck(judgeCheck(up, unmade, rules, 21), unmade, rules, 22), up);
  const seen = judgeFlows(up, flows(5, 0, 0, 0), rules, 100);
  t.is(judgeCheck(seen, unmade, rules, 101).state, "DOWN");
  t.is(judgeCheck(seen, unmade, rules, 100 + PASSIVE_HOLD_MS).state, "UP");
  let down = up;
  for (let i = 0; i < rules.fall; i++) down = judgeCheck(down, bad, rules, 30 + i);
  t.is(down.state, "DOWN");
  t.is(judgeCheck(down, unmade, rules, 1e6).state, "DOWN");
});
