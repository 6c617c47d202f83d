// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { hostContract, serviceImports, sourceRules } from "../lint.mjs";

test("a service may import common and itself, not another service", (t) => {
  const text = (target) => `import { x } from "${target}";\n`;
  t.deepEqual(serviceImports("services/health/main.ts", text("../common/config.js")), []);
  t.deepEqual(serviceImports("services/health/main.ts", text("./check.js")), []);
  t.deepEqual(serviceImports("services/health/test/a.test.ts", text("../check.js")), []);
  t.is(serviceImports("services/health/main.ts", text("../failover/pool.js")).length, 1);
  t.is(serviceImports("services/health/main.ts", 'const m = await import("../failover/pool.js");').length, 1);
  t.is(serviceImports("services/health/main.ts", 'export { x } from "../../services/failover/pool.js";').length, 1);
});

test("a source file has its licence line, a bounded length and no unfinished work", (t) => {
  const licence = "// SPDX-License-Identifier: Apache-2.0\n";
  t.deepEqual(sourceRules("a.ts", `${licence}export {};\n`), []);
  t.is(sourceRules("a.ts", "export {};\n").length, 1);
  t.is(sourceRules("a.ts", licence + "x\n".repeat(451)).length, 1);
  t.is(sourceRules("a.c", `${licence}/* ${"TO"}DO: later */\n`).length, 1);
  t.deepEqual(sourceRules("a.md", "free"), []);
});

test("a data plane counts by events, never past them", (t) => {
  t.is(hostContract("vpp-plugin/lb_rl/a.c", "x;\nMLB_ADD(mlb_wslot_at(wv->slots, i)->answers, 1);\n").length, 1);
  t.is(hostContract("native/dataplane/src/a.c", "#include <marllb/worker_slot.h>\n").length, 1);
  t.deepEqual(hostContract("native/dataplane/src/a.c", "struct mlb_wslots *slots; mlb_ev_open(wv, s, now);\n"), []);
  t.deepEqual(hostContract("native/core/src/dp_frame.c", "mlb_wslot_at(slots, i);\n"), []);
});
