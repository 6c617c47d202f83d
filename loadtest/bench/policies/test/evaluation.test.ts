// SPDX-License-Identifier: Apache-2.0
// docs/evaluation.md: every table has its place, and rows become what a reader expects.
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { projectRoot } from "../../../../services/common/root.js";
import { row } from "../../row.js";
import { fill, tables } from "../evaluation-tables.js";

const rows = [
  row("policy.v2.marl.mean_vs_best_heuristic", "ratio", "<= 0.97", { value: 0.98, low: 0.97, high: 0.99, n: 9 }, "a note"),
  row("policy.v2.sed.mean_vs_best_heuristic", "ratio", "", { value: 1.2, low: 1.2, high: 1.2, n: 9 }, ""),
];

test("the document has a place for every table, and filling it twice gives the same", (t) => {
  const document = readFileSync(path.join(projectRoot, "docs", "evaluation.md"), "utf8");
  const once = fill(document, tables(rows, "abc"));
  t.is(fill(once, tables(rows, "abc")), once);
  t.true(once.includes("Figures of commit abc: family v1 0 scenarios, family v2 9,"));
  t.true(once.includes("| **marl** (shipped) | 0.980 [0.970, 0.990] | - |"));
  t.true(once.includes("| SED | 1.200 | - |"));
  t.true(once.includes("| policy.v2.marl.mean_vs_best_heuristic | 0.980 [0.970, 0.990] | <= 0.97 | missed |"));
});

test("a document without a place is an error that names it", (t) => {
  t.throws(() => fill("# nothing", tables(rows, "abc")), { message: /expected <!-- table: bars --> and <!-- end -->/ });
});
