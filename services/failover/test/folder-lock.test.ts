// SPDX-License-Identifier: Apache-2.0
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { needs } from "../../../testbed/needs.js";
import { FolderInUse, lockFolder } from "../folder-lock.js";

function folder(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), "marllb-lock-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  return dir;
}

test("a folder has one holder, who is named to the next one", (t) => {
  const dir = join(folder(t), "new", "one");
  const release = lockFolder(dir);
  for (let i = 0; i < 2; i++) {
    const e = t.throws(() => lockFolder(dir), { instanceOf: FolderInUse });
    t.true(e?.message.includes(`in use by process ${process.pid} of ${hostname()}: one failover a folder`), e?.message);
  }
  release();
  t.notThrows(lockFolder(dir));
  t.deepEqual(readdirSync(dir), ["lock"]);
});

test("what a file says locks nothing", (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, "lock"), `process ${process.pid} of ${hostname()}, and more than that\n`);
  const release = lockFolder(dir);
  t.throws(() => lockFolder(dir), { message: new RegExp(`in use by process ${process.pid} of ${hostname()}: `) });
  release();
});

/** A process that locks the folder and waits; with `prefix` in namespaces of its own, as in a container. */
async function holder(dir: string, prefix: readonly string[]): Promise<() => Promise<void>> {
  const url = new URL("../folder-lock.js", import.meta.url).href;
  const program = `const { lockFolder } = await import(${JSON.stringify(url)}); lockFolder(${JSON.stringify(dir)}); console.log("held"); setInterval(() => {}, 1e6);`;
  const [file = "", ...args] = [...prefix, process.execPath, "--input-type=module", "--eval", program];
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return async () => {
    child.kill("SIGKILL");
    await once(child.stdout, "close");
  };
}

test("a process that is killed holds nothing", async (t) => {
  const dir = folder(t);
  const kill = await holder(dir, []);
  t.throws(() => lockFolder(dir), { instanceOf: FolderInUse });
  await kill();
  t.notThrows(lockFolder(dir));
});

const CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
function canContain(): boolean {
  try {
    execFileSync(CONTAINER[0] as string, [...CONTAINER.slice(1), "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

needs(canContain(), "needs unshare and the right to use it: root")(
  "a process of another container, where it has another pid, holds the folder",
  async (t) => {
    const dir = folder(t);
    const kill = await holder(dir, CONTAINER);
    t.throws(() => lockFolder(dir), { message: /in use by process 1 of / });
    await kill();
    t.notThrows(lockFolder(dir));
  },
);
