// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { root } from "../lib/exec.mjs";

test("train: paths are those of the folder it was called in, and the exit code is the training's", (t) => {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), "marllb-train-")));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const python = path.join(dir, "python");
  writeFileSync(python, '#!/bin/sh\necho "$PWD|$PYTHONPATH|$*"\nexit 7\n');
  chmodSync(python, 0o755);
  const r = spawnSync(process.execPath, [path.join(root, "scripts/train.mjs"), "--out", "mine"], {
    cwd: root,
    env: { ...process.env, PYTHON: python, PYTHONPATH: "/other", INIT_CWD: dir },
    encoding: "utf8",
  });
  t.is(r.stdout.trim(), `${dir}|${path.join(root, "training")}:/other|-m marllb_train --out mine`);
  t.is(r.status, 7);
});
