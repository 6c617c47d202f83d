// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "ava";
import { runCheck } from "../../../../testbed/checks.js";
import { parseConfig } from "../../config/load.js";
import { check } from "../exec.js";

const run = (script: string, signal?: AbortSignal): Promise<string> =>
  runCheck(check, { host: "10.0.0.1", port: 80 }, { exec: ["/bin/sh", "-c", script] }, signal);

test("the exit code decides; the program knows the server and nothing else of ours", async (t) => {
  t.is(await run('echo "$SERVER_HOST $SERVER_PORT $HOME"'), "ended with 0: 10.0.0.1 80");
  await t.throwsAsync(run("echo no >&2; echo ill; exit 3"), { message: "ended with 3: ill", code: "CHECK_FAILED" });
  await t.throwsAsync(run("kill -9 $$"), { message: "ended by SIGKILL" });
});

test("a program that is not there says nothing of the server", async (t) => {
  const missing = runCheck(check, { host: "10.0.0.1", port: 80 }, { exec: ["/nonexistent/check"] });
  const e = await t.throwsAsync<Error & { local?: boolean }>(missing, { message: /cannot be run/ });
  t.true(e?.local);
});

test("at the deadline all of it ends, its children too", async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "exec-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const deadline = new AbortController();
  const late = run(`(sleep 60; touch ${folder}/late) & touch ${folder}/began; wait`, deadline.signal);
  while (!existsSync(`${folder}/began`)) await new Promise((r) => setTimeout(r, 10));
  deadline.abort();
  await t.throwsAsync(late, { message: "ended by SIGKILL" });
});

test("it is off unless the configuration allows it", (t) => {
  const exec = (more: string): unknown => parseConfig(`health: { kind: exec, exec: [/bin/true]${more} }`).health.kind;
  t.throws(() => exec(""), { message: /health\.kind: exec runs programs: expected with allow_exec: true/ });
  t.is(exec(", allow_exec: true"), "exec");
  t.throws(() => parseConfig("health: { kind: exec, allow_exec: true }"), { message: /health\.exec: expected a program/ });
  t.throws(() => parseConfig('vips: [{ name: web, address: "127.0.0.1:8080", health: { kind: exec, exec: [/bin/true] } }]'), {
    message: /vips\[0\]\.health\.kind: exec runs programs/,
  });
});
