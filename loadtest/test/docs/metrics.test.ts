// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import test from "ava";
import { FILE, page } from "../../docs/metrics-page.js";

test("docs/metrics.md is what the services' registries say", async (t) => {
  t.is(readFileSync(FILE, "utf8"), await page(), "write it anew: node scripts/run.mjs loadtest/docs/metrics.js");
});

test("names and units are as Prometheus' conventions say", async (t) => {
  const rows = [...(await page()).matchAll(/^\| `([^`]+)` \| (\w+) \|/gm)];
  t.true(rows.length > 60);
  for (const [, name = "", type] of rows) {
    t.is(name.endsWith("_total"), type === "counter", name);
    if (type === "histogram") t.regex(name, /_seconds$/);
    t.notRegex(name, /_(ms|us|kb|percent)(_|$)/);
  }
});
