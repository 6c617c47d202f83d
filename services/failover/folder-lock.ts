// SPDX-License-Identifier: Apache-2.0
// One process a folder: each would write its own memory over the other's orders. A pid alone comes again, so it is held together with the
// moment at which the process was started.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startOf } from "../common/process-start.js";

const NAME = "lock";

export class FolderInUse extends Error {}

/** The pid of a living process; undefined: nobody, or one that died. */
function holder(path: string): number | undefined {
  try {
    const [pid = "", start] = readFileSync(path, "utf8").trim().split(" ");
    return startOf(Number(pid)) === start ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

/** Of two that find a dead one's lock, one moves it away; the other may find nothing by then, or the living one's, which goes back. */
function moveAway(path: string, to: string): void {
  try {
    renameSync(path, to);
    if (holder(to) !== undefined) linkSync(to, path);
  } catch (e) {
    if (!["ENOENT", "EEXIST"].includes((e as NodeJS.ErrnoException).code ?? "")) throw e;
  } finally {
    rmSync(to, { force: true });
  }
}

/** Holds the folder for this process; returns what lets go of it. Throws where another one holds it. */
export function lockFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, NAME);
  const own = `${path}.${process.pid}`;
  writeFileSync(own, `${process.pid} ${startOf(process.pid)}\n`, { mode: 0o600 });
  try {
    for (;;) {
      try {
        // Whole from the first moment: who looks never finds it empty.
        linkSync(own, path);
        return () => rmSync(path, { force: true });
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code !== "EEXIST") throw e;
      }
      const pid = holder(path);
      if (pid !== undefined)
        throw new FolderInUse(
          `${folder} is in use by process ${pid}: one failover a folder (failover.store.path); replicas share etcd (failover.store.kind: etcd)`,
        );
      moveAway(path, `${own}.dead`);
    }
  } finally {
    rmSync(own, { force: true });
  }
}
