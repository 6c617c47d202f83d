// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import path from "node:path";
import test from "ava";
import { projectRoot } from "../../common/root.js";

test("a command whose reader has gone ends quietly", async (t) => {
  const main = path.join(projectRoot, "dist/services/ctl/main.js");
  const it = spawn(process.execPath, [main, "dp-config"], { stdio: ["ignore", "pipe", "pipe"] });
  it.stdout.destroy(); // long before it has anything to say
  let errors = "";
  it.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const code = await new Promise((resolve) => it.on("close", resolve));
  t.is(errors, "");
  t.is(code, 0);
});
