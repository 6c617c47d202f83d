// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { Register } from "../orders.js";

test("the last order answered OK is the one in force", (t) => {
  const r = new Register("up");
  r.ask("drain", 1)("ok", 2);
  t.deepEqual([...r.possible()], ["drain"]);
  r.ask("up", 3)("ok", 4);
  t.deepEqual([...r.possible()], ["up"]);
  t.false(r.seen("drain", 5), "an order that was lost");
});

test("an order whose fate is unknown may be in force until another was answered and it was looked at", (t) => {
  const r = new Register("up");
  r.ask("drain", 1)("unknown", 2);
  t.deepEqual([...r.possible()], ["up", "drain"]);
  r.ask("a", 3)("ok", 4);
  t.deepEqual([...r.possible()].sort(), ["a", "drain"], "it may come late");
  t.true(r.seen("a", 5));
  t.deepEqual([...r.possible()], ["a"]);
});

test("a refused order is never in force; one still under way may be", (t) => {
  const r = new Register("up");
  r.ask("drain", 1)("refused", 2);
  t.deepEqual([...r.possible()], ["up"]);
  r.ask("slow", 3);
  t.deepEqual([...r.possible()].sort(), ["slow", "up"]);
});

test("of two at once either may win", (t) => {
  const r = new Register("up");
  const first = r.ask("a", 1);
  const second = r.ask("b", 2);
  first("ok", 4);
  second("ok", 3);
  t.deepEqual([...r.possible()].sort(), ["a", "b"]);
});
