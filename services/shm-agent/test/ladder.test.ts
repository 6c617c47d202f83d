// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { Ladder } from "../../common/vocabulary.js";
import { type Decision, HOLD_MS, ladderAnswered, ladderDecision, ladderMissed, ladderStart } from "../ladder.js";

const decision: Decision = {
  ids: [1, 2],
  weights: Float32Array.of(1, 3),
  bias: new Float32Array(0),
  kappa: 0,
  mode: 0,
  policy: "kalman",
  turnOf: "order",
};

test("before any answer the weights are static", (t) => {
  const s = ladderStart();
  t.is(s.step, Ladder.STATIC);
  t.is(ladderDecision(s), null);
  t.is(ladderMissed(s, 0).step, Ladder.STATIC);
});

test("two unanswered ticks change nothing, the third is last good, ten seconds of it are static", (t) => {
  let s = ladderAnswered(decision, Ladder.MODEL);
  s = ladderMissed(s, 200);
  s = ladderMissed(s, 400);
  t.is(s.step, Ladder.MODEL);
  s = ladderMissed(s, 600);
  t.is(s.step, Ladder.LAST_GOOD);
  t.is(ladderDecision(s), decision);
  s = ladderMissed(s, 600 + HOLD_MS - 1);
  t.is(s.step, Ladder.LAST_GOOD);
  s = ladderMissed(s, 600 + HOLD_MS);
  t.is(s.step, Ladder.STATIC);
  t.is(ladderDecision(s), null);
});

test("one answer climbs back from anywhere, and the hold begins anew", (t) => {
  let s = ladderAnswered(decision, Ladder.KALMAN);
  t.is(s.step, Ladder.KALMAN);
  for (let i = 0; i < 100; i++) s = ladderMissed(s, i * 200);
  t.is(s.step, Ladder.STATIC);
  s = ladderAnswered(decision, Ladder.MODEL);
  t.is(s.step, Ladder.MODEL);
  t.is(s.missed, 0);
  for (let i = 0; i < 3; i++) s = ladderMissed(s, 100_000 + i * 200);
  t.is(s.step, Ladder.LAST_GOOD);
});

test("unanswered ticks under Kalman keep Kalman's step", (t) => {
  t.is(ladderMissed(ladderAnswered(decision, Ladder.KALMAN), 1).step, Ladder.KALMAN);
});
