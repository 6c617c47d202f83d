// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { policyBefore } from "../commands/inference.js";

const set = (from: string, to: string): string[] => [`policy ${from} -> ${to}`];

test("rollback: the policy before the one now, and with each further one the one before that", (t) => {
  const history = [set("kalman", "marl"), ["drain 10.0.0.1:80"], set("as configured", "kalman")];
  t.is(policyBefore(history), "kalman");
  const once = [set("marl", "kalman"), ...history];
  t.is(policyBefore(once), "");
  const twice = [set("kalman", "as configured"), ...once];
  t.is(policyBefore(twice), undefined);
});

test("an order after a rollback is one that can be taken back", (t) => {
  const history = [set("kalman", "uniform"), set("marl", "kalman"), set("kalman", "marl"), set("as configured", "kalman")];
  t.is(policyBefore(history), "kalman");
  t.is(policyBefore([]), undefined);
  t.is(policyBefore([["drain 10.0.0.1:80"]]), undefined);
});
