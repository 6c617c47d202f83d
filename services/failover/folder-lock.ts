// SPDX-License-Identifier: Apache-2.0
// One process a folder: each would write its own memory over the other's orders. The kernel holds the lock, so it ends with its process, and
// counts between containers that share the folder, too.
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import os from "node:os";
import { dirname, join } from "node:path";
import { lockFile } from "../common/native/flock.js";

const NAME = "lock";

export class FolderInUse extends Error {}

/** Makes the folder where it is missing; its name lasts then. */
function made(folder: string): void {
  const first = mkdirSync(folder, { recursive: true });
  if (first === undefined) return;
  const parent = openSync(dirname(first), "r");
  try {
    fsyncSync(parent);
  } finally {
    closeSync(parent);
  }
}

/** Holds the folder for this process; returns what lets go of it. Throws where another one holds it. The file stays: its name is no lock. */
export function lockFolder(folder: string): () => void {
  made(folder);
  const path = join(folder, NAME);
  const fd = openSync(path, "a+", 0o600);
  try {
    if (!lockFile(fd)) {
      const who = readFileSync(path, "utf8").trim() || "another process";
      throw new FolderInUse(
        `${folder} is in use by ${who}: one failover a folder (failover.store.path); replicas share etcd (failover.store.kind: etcd)`,
      );
    }
    ftruncateSync(fd);
    writeSync(fd, `process ${process.pid} of ${os.hostname()}\n`);
  } catch (e) {
    closeSync(fd);
    throw e;
  }
  return () => closeSync(fd);
}
