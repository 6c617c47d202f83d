// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { labelOf } from "../steering.js";

test("a policy that is not known here makes no series of its own", (t) => {
  const catalog = { has: (name: string) => name === "kalman" };
  t.deepEqual(
    ["kalman", "a1", "a2"].map((name) => labelOf(catalog, name)),
    ["kalman", "unknown", "unknown"],
  );
});
