// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { LaunchError } from "../up/error.js";
import { Instance, instanceFolder } from "../up/instance.js";

const folder = mkdtempSync(join(tmpdir(), "marllb-instance-"));
process.env.TMPDIR = folder;
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

test.serial("what is released leaves nothing, not even the folder of all instances", (t) => {
  const one = Instance.claim("one");
  const two = Instance.claim("two");
  one.release(false);
  t.true(existsSync(two.folder));
  two.release(false);
  t.deepEqual(readdirSync(folder), []);
});

test.serial("a name is refused while its launcher lives", (t) => {
  const it = Instance.claim("one");
  t.throws(() => Instance.claim("one"), { instanceOf: LaunchError, message: new RegExp(`launcher pid ${process.pid}`) });
  it.release(false);
});

test.serial("where no folder can be made, TMPDIR is named", (t) => {
  for (const tmp of ["/proc", "/nonexistent", "/dev/null"]) {
    process.env.TMPDIR = tmp;
    t.throws(() => Instance.claim("one"), { instanceOf: LaunchError, message: new RegExp(`in ${tmp}: .*; set TMPDIR$`) });
  }
  process.env.TMPDIR = folder;
});

test.serial("a dead launcher's pid that another process has by now holds no name; its logs are kept", (t) => {
  const dead = instanceFolder("one");
  mkdirSync(join(dead, "logs"), { recursive: true });
  writeFileSync(join(dead, "launcher.pid"), `${process.pid} 1\n`);
  const it = Instance.claim("one");
  t.true(existsSync(join(`${dead}.previous`, "logs")));
  it.release(false);
});
