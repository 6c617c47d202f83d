// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { type Config, parseConfig } from "../config/load.js";
import { changedKeys, Reloader } from "../reload.js";

test("changed keys are told by their path; a list is one value", (t) => {
  const a = { x: 1, m: { y: [1, 2], z: true }, same: "s" };
  t.deepEqual(changedKeys(a, { x: 1, m: { y: [1, 3], z: true }, same: "s" }), ["m.y"]);
  t.deepEqual(changedKeys(a, { m: { y: [1, 2], z: false }, same: "s", n: 0 }), ["x", "m.z", "n"]);
  t.deepEqual(changedKeys(a, structuredClone(a)), []);
});

test("what a part knows is applied, also back again; the rest stays pending until a restart", (t) => {
  const started = parseConfig("");
  const applied: Config[] = [];
  const r = new Reloader(started, [{ keys: ["health", "log.level"], apply: (c) => applied.push(c) }]);
  const changed = parseConfig("health: { fall: 7 }\ntick_ms: 100");
  t.deepEqual(r.reload(changed), { applied: ["health.fall"], pending: ["tick_ms"] });
  t.is(applied[0]?.health.fall, 7);
  t.deepEqual(r.reload(changed), { applied: [], pending: ["tick_ms"] });
  t.deepEqual(r.reload(started), { applied: ["health.fall"], pending: [] });
  t.is(applied.length, 2);
});
