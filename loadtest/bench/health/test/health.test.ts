// SPDX-License-Identifier: Apache-2.0
// What the health.* rows measure, small: that it works, not how fast.
import { type AddressInfo, createServer } from "node:net";
import test from "ava";
import { checks } from "../checks.js";
import { watch } from "../watch.js";

test("many servers behind one listener are all checked, again and again", async (t) => {
  const server = createServer((s) => s.on("error", () => {}).resume());
  await new Promise<void>((r) => server.listen(0, "0.0.0.0", r));
  t.teardown(() => server.close());
  const r = await checks(300, (server.address() as AddressInfo).port, 3000);
  t.true(r.checks >= 300, `${r.checks} checks`);
  t.is(r.late.length, r.checks);
});

test("a list of verdicts passes whole, in parts of a thousand at most, and the reader knows every server", async (t) => {
  const r = await watch(20, 2500);
  t.like(r, { entries: 50_000, largestPart: 1000, known: 2500 });
});
