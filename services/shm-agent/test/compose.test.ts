// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { InFlag } from "../../common/vocabulary.js";
import { acceptsTerm, factorsInOrder, flagsInOrder, NO_DIRECTIVE, pickSource, previousInOrder, rawInOrder } from "../compose.js";
import type { Decision } from "../ladder.js";

function decision(entries: [id: number, weight: number, bias?: number][]): Decision {
  return {
    ids: entries.map((e) => e[0]),
    weights: Float32Array.from(entries, (e) => e[1]),
    bias: Float32Array.from(entries, (e) => e[2] ?? 0),
    kappa: 0,
    mode: 0,
    policy: "p",
    turnOf: "order",
  };
}
const stat = Float32Array.of(1, 1, 2);
const ids = [10, 11, 12];

test("weights follow their server's id, not its place", (t) => {
  const { raw, bias } = rawInOrder(
    ids,
    stat,
    decision([
      [12, 3, 0.5],
      [10, 1, -0.25],
      [11, 2],
    ]),
    false,
  );
  t.deepEqual([...raw], [1, 2, 3]);
  t.deepEqual([...bias], [-0.25, 0, 0.5]);
});

test("an id that the frame does not have is ignored", (t) => {
  t.deepEqual(
    [
      ...rawInOrder(
        ids,
        stat,
        decision([
          [99, 7],
          [10, 1],
          [11, 2],
          [12, 3],
        ]),
        false,
      ).raw,
    ],
    [1, 2, 3],
  );
});

test("a server without a weight gets its configured one on the others' scale", (t) => {
  // known: raw 10 + 10 over configured 1 + 1, so 10 a unit
  t.deepEqual(
    [
      ...rawInOrder(
        ids,
        stat,
        decision([
          [10, 10],
          [11, 10],
        ]),
        false,
      ).raw,
    ],
    [10, 10, 20],
  );
});

test("a server that an order does not name keeps its configured weight", (t) => {
  t.deepEqual([...rawInOrder(ids, stat, decision([[10, 5]]), true).raw], [5, 1, 2]);
  t.deepEqual([...rawInOrder(ids, stat, decision([[10, 0]]), true).raw], [0, 1, 2]);
});

test("no decision, or one that knows nobody, is static", (t) => {
  t.deepEqual([...rawInOrder(ids, stat, null, false).raw], [1, 1, 2]);
  t.deepEqual([...rawInOrder(ids, stat, decision([[99, 5]]), false).raw], [1, 1, 2]);
});

test("factors: a missing id is 1, an unknown one is ignored", (t) => {
  const factors = new Map([
    [11, 0],
    [77, 0.5],
  ]);
  t.deepEqual([...factorsInOrder(ids, { ...NO_DIRECTIVE, factors })], [1, 0, 1]);
});

test("a server of weight 0 by order is nobody's last resort", (t) => {
  const d = { ...NO_DIRECTIVE, closing: new Set([12]), lastResort: new Set([10, 11, 99]) };
  t.deepEqual([...flagsInOrder(ids, d, Float32Array.of(0, 1, 1))], [0, InFlag.LAST_RESORT, InFlag.CLOSE]);
});

test("the last shares follow their ids; a new server has none", (t) => {
  t.deepEqual(
    [
      ...previousInOrder(
        ids,
        new Map([
          [12, 0.25],
          [10, 0.75],
        ]),
      ),
    ],
    [0.75, Number.NaN, 0.25],
  );
});

test("an override wins over a push, a push over inference, a fallback over inference alone", (t) => {
  const d = decision([[10, 1]]);
  const push = { decision: decision([[11, 1]]), untilMs: 100 };
  const override = { weights: new Map([[12, 4]]), mode: 3, reason: "test" };
  const over = pickSource({ ...NO_DIRECTIVE, override, fallback: true }, push, d, 50);
  t.is(over.source, "override");
  t.deepEqual([...(over.decision?.weights ?? [])], [4]);
  t.is(over.decision?.mode, 3);
  t.is(pickSource({ ...NO_DIRECTIVE, fallback: true }, push, d, 50).source, "push");
  t.is(pickSource({ ...NO_DIRECTIVE, fallback: true }, push, d, 100).source, "fallback");
  t.is(pickSource(NO_DIRECTIVE, push, d, 100).source, "inference");
  t.is(pickSource(NO_DIRECTIVE, null, null, 0).source, "static");
});

test("an older term is refused, the same one and newer ones are taken", (t) => {
  const at = { ...NO_DIRECTIVE, term: 5n };
  t.false(acceptsTerm(at, 4n));
  t.true(acceptsTerm(at, 5n));
  t.true(acceptsTerm(at, 6n));
});
