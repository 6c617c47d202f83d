// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Policies } from "../policies.js";

test("a policy that nobody has is refused, and one that is ordered already is said until it is there or ordered otherwise", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "marllb-models-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  let now = 0;
  const policies = new Policies(dir, () => now);
  t.is(policies.refusal("uniform"), null);
  t.regex(policies.refusal("mine") ?? "", /no policy "mine"; there are .*uniform/);
  policies.ordered("web", "mine");
  policies.ordered("api", "uniform");
  t.regex(policies.problem() ?? "", /^pool web: no policy "mine"/);
  policies.ordered("web", "");
  t.is(policies.problem(), null);
  policies.ordered("web", "mine");
  now = 1e6;
  t.regex(policies.problem() ?? "", /pool web/);
  writeFileSync(join(dir, "mine.onnx"), "");
  now = 2e6;
  t.is(policies.problem(), null, "a model that comes later counts");
});
