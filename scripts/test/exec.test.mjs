// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { exec } from "../lib/exec.mjs";

test("what a command leaves running is killed and told, and nobody waits for it for ever", async (t) => {
  const { code, out } = await exec("sh", ["-c", 'sleep 3600 & kill -STOP "$!"; echo done'], { graceMs: 100 });
  t.is(code, 125);
  t.regex(out, /^done\n\nsh ended, but left running \(killed now\): .*sleep 3600.*\n$/);
});

test("a command that fails keeps its exit code though it left processes", async (t) => {
  const { code, out } = await exec("sh", ["-c", "sleep 3600 & exit 3"], { graceMs: 100 });
  t.is(code, 3);
  t.regex(out, /left running \(killed now\): sleep 3600/);
});

test("a command whose children end with it is no fault", async (t) => {
  t.deepEqual(await exec("sh", ["-c", "sleep 0.2 & echo one"], { graceMs: 10_000 }), { code: 0, out: "one\n" });
});
