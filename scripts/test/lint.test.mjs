// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { cColumns, cFunctions, hostContract, serviceImports, sourceRules, testImports } from "../lib/rules.mjs";

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
  t.regex(hostContract("vpp-plugin/lb_rl/a.c", "s = mlb_choose(tab, wv->q, &rng, 0);\n")[0], /a\.c:1: chooses past ejection/);
  t.deepEqual(hostContract("vpp-plugin/lb_rl/a.c", "s = mlb_dp_choose(dp, w, id, 0, now);\n"), []);
  t.deepEqual(hostContract("native/sim/a.c", "s = mlb_choose(tab, q, &rng, 0);\n"), []);
});

test("C: lines of at most 130 columns, functions of at most 70 lines", (t) => {
  t.deepEqual(cColumns("a.c", `\t${"x".repeat(122)}\n`), []);
  t.deepEqual(cColumns("a.c", `int a;\n\t${"x".repeat(123)}\n`), ["a.c:2: 131 columns, more than 130"]);
  const body = (n) => `int f(void)\n{\n${"\tx();\n".repeat(n)}}\n`;
  t.deepEqual(cFunctions("a.c", body(67)), []);
  t.deepEqual(cFunctions("a.c", body(68)), ["a.c:1: f has 71 lines, more than 70"]);
  t.deepEqual(cFunctions("a.ts", body(100)), []);
});

test("a test folder is used by its own room alone", (t) => {
  const none = () => undefined;
  const from = (file, target) => testImports(file, `import { x } from "${target}";\n`, none).length;
  t.is(from("services/health/test/a.test.ts", "../../common/test/fuzz.js"), 1);
  t.is(from("loadtest/process.ts", "../services/common/test/spawn.js"), 1);
  t.is(from("services/common/config/test/a.test.ts", "../../test/fuzz.js"), 0);
  t.is(from("services/health/test/a.test.ts", "../../testbed/fuzz.js"), 0);
  const include = (file) => testImports(file, '#include "mlbtest.h"\n', () => "native/core/test/mlbtest.h").length;
  t.is(include("native/net/test/a.c"), 1);
  t.is(include("native/core/test/a.c"), 0);
});
