// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import path from "node:path";
import test from "ava";
import { projectRoot } from "../../../services/common/root.js";

const program = path.join(projectRoot, "dist/loadtest/chaos/main.js");

test.serial("two minutes of faults, one at a time and in pairs: no order lost, no request lost, no drain broken", async (t) => {
  t.timeout(600_000);
  const args = [program, "--minutes", "2", "--seed", "20261128"];
  const { code, out } = await new Promise<{ code: number; out: string }>((resolve) => {
    execFile(process.execPath, args, { maxBuffer: 1 << 24 }, (e, stdout, stderr) =>
      resolve({ code: e === null ? 0 : Number(e.code ?? 1), out: stdout + stderr }),
    );
  });
  t.log(out);
  t.is(code, 0);
  for (const met of ["orders_lost", "requests_lost", "drains_broken"]) t.regex(out, new RegExp(`^chaos\\.${met} +0 +met$`, "m"));
  const figure = (name: string, pattern: RegExp): number =>
    Number(pattern.exec(new RegExp(`^chaos\\.${name} .*$`, "m").exec(out)?.[0] ?? "")?.[1]);
  t.true(figure("requests", / (\d+),/) > 500);
  t.true(figure("orders", /(\d+) ok/) > 50);
  t.true(figure("rounds", / (\d+)/) > 2);
});

test.serial("an interrupted run ends after the round under way, and prints what it saw", async (t) => {
  t.timeout(900_000);
  const { code, out } = await new Promise<{ code: number; out: string }>((resolve) => {
    const child = execFile(process.execPath, [program, "--minutes", "60", "--seed", "3"], (e, stdout, stderr) =>
      resolve({ code: e === null ? 0 : Number(e.code ?? 1), out: stdout + stderr }),
    );
    child.stderr?.on("data", (text: string) => text.includes("# round 2:") && child.kill("SIGTERM"));
  });
  t.is(code, 0, out);
  t.regex(out, /^chaos\.rounds +2 *$/m);
  t.regex(out, /^chaos\.orders_lost +0 +met$/m);
});
