// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import test from "ava";
import { marllbctl } from "../../../testbed/ctl.js";
import { programFile } from "../../common/root.js";

test("a command whose reader has gone ends quietly", async (t) => {
  const main = programFile("marllbctl");
  const it = spawn(process.execPath, [main, "dp-config"], { stdio: ["ignore", "pipe", "pipe"] });
  it.stdout.destroy(); // long before it has anything to say
  let errors = "";
  it.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const code = await new Promise((resolve) => it.on("close", resolve));
  t.is(errors, "");
  t.is(code, 0);
});

test("a moment that has not come, and blocks too short for an experiment, are refused before anybody is asked", async (t) => {
  const future = await marllbctl(["explain", "--at", "2999-01-01T00:00:00Z"]);
  t.is(future.code, 2);
  t.regex(future.errors, /expected a time that is over, found 2999-01-01T00:00:00\.000Z/);
  const short = await marllbctl(["experiment", "start", "--candidate", "marl", "--block", "9"]);
  t.is(short.code, 2);
  t.regex(short.errors, /expected a number from 10 to 3600/);
});
