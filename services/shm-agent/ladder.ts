// SPDX-License-Identifier: Apache-2.0
// Where a VIP's weights come from, as a pure state machine. Times are monotonic milliseconds, passed in.
//
// model (the chosen policy) -> kalman (inference says so) -> last good (3 missed ticks, held 10 s) -> static.
// A tick is missed that brought no answer, or one that the envelope refused. Recovery needs nothing: the next good answer climbs back.
import { Ladder } from "../common/vocabulary.js";

/** A policy's answer: raw weights, any positive scale, keyed by server id. */
export interface Decision {
  ids: readonly number[];
  weights: Float32Array;
  /** Flows; empty = all 0. */
  bias: Float32Array;
  /** 0 = by the number of load balancers. */
  kappa: number;
  /** enum mlb_mode; 0 = leave as it is. */
  mode: number;
  policy: string;
  /** Why this policy decides (Weights.turn_of). */
  turnOf: string;
}

export interface LadderState {
  step: number;
  /** Ticks in a row that brought nothing to publish. */
  missed: number;
  good: Decision | null;
  goodStep: number;
  /** When last good began to be held; null while good answers come. */
  heldSince: number | null;
}

export const MISSED_LIMIT = 3;
export const HOLD_MS = 10_000;

export function ladderStart(): LadderState {
  return { step: Ladder.STATIC, missed: 0, good: null, goodStep: Ladder.STATIC, heldSince: null };
}

/** An answer that was accepted. */
export function ladderAnswered(decision: Decision, step: number): LadderState {
  return { step, missed: 0, good: decision, goodStep: step, heldSince: null };
}

/** A tick went by without an answer, or with one that was refused. */
export function ladderMissed(s: LadderState, nowMs: number): LadderState {
  const missed = s.missed + 1;
  if (s.good === null) return { ...s, missed, step: Ladder.STATIC };
  if (missed < MISSED_LIMIT) return { ...s, missed, step: s.goodStep };
  const heldSince = s.heldSince ?? nowMs;
  return { ...s, missed, heldSince, step: nowMs - heldSince < HOLD_MS ? Ladder.LAST_GOOD : Ladder.STATIC };
}

/** The decision to compose at this step; null = static weights. */
export function ladderDecision(s: LadderState): Decision | null {
  return s.step === Ladder.STATIC ? null : s.good;
}
