// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "ava";
import { setupLock } from "../lib/fresh.mjs";

const folder = (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), "marllb-lock-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  return dir;
};

test("one holds the lock at a time; the next is told for whom it waits", async (t) => {
  const dir = folder(t);
  const release = await setupLock(() => t.fail(), dir);
  const told = [];
  const next = setupLock((pid) => told.push(pid), dir);
  await new Promise((r) => setTimeout(r, 250));
  t.deepEqual(told, [process.pid]);
  release();
  (await next)();
  t.deepEqual(readdirSync(dir), []);
});

for (const [what, content] of [
  ["a process that is gone", "999999999 5"],
  ["a pid that another process has by now", `${process.pid} 1`],
  ["one that was killed before it wrote", ""],
]) {
  test(`a lock of ${what} holds nobody up`, async (t) => {
    const dir = folder(t);
    writeFileSync(path.join(dir, "lock"), content);
    const release = await setupLock(() => t.fail(), dir);
    t.true(existsSync(path.join(dir, "lock")));
    release();
  });
}
