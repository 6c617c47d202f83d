// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { FolderInUse, lockFolder } from "../folder-lock.js";

function folder(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), "marllb-lock-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  return dir;
}

test("a folder has one holder, who is named to the next one", (t) => {
  const dir = join(folder(t), "new");
  const release = lockFolder(dir);
  const e = t.throws(() => lockFolder(dir), { instanceOf: FolderInUse });
  t.regex(e?.message ?? "", new RegExp(`in use by process ${process.pid}: .*failover.store.path`));
  t.deepEqual(readdirSync(dir), ["lock"], "nothing of the second one stays");
  release();
  t.notThrows(lockFolder(dir));
});

for (const [what, text] of [
  ["a process that is gone", "999999999 1"],
  ["another process of the same pid", `${process.pid} 1`],
  ["nobody who can be read", "?"],
] as const) {
  test(`the lock of ${what} holds nothing`, (t) => {
    const dir = folder(t);
    writeFileSync(join(dir, "lock"), `${text}\n`);
    const release = lockFolder(dir);
    t.deepEqual(readdirSync(dir), ["lock"]);
    t.throws(() => lockFolder(dir), { instanceOf: FolderInUse });
    release();
  });
}
