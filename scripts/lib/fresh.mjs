// SPDX-License-Identifier: Apache-2.0
// What makes the second `npm start` quick: a step is skipped while the names, sizes and times of its inputs are as they were.
import { createHash } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "./exec.mjs";

const stampDir = path.join(root, "build/.stamp");

function add(hash, file, skip) {
  const s = statSync(file, { throwIfNoEntry: false });
  if (!s) return hash.update(`${file}\0absent\0`);
  if (!s.isDirectory()) return hash.update(`${file}\0${s.size}\0${s.mtimeMs}\0`);
  for (const name of readdirSync(file).sort()) if (!skip.has(name)) add(hash, path.join(file, name), skip);
}

/** Names the state of files and folders (relative to the root), plus any strings that matter. */
export function fingerprint(paths, extra = []) {
  const hash = createHash("sha256");
  for (const p of paths) add(hash, path.join(root, p), new Set(["node_modules", "__pycache__"]));
  for (const e of extra) hash.update(`${e}\0`);
  return hash.digest("hex");
}

/** Runs `step` unless its inputs are unchanged since it last succeeded and its outputs are there. */
export async function whenStale(name, { inputs, extra = [], outputs }, step) {
  const file = path.join(stampDir, name);
  const now = fingerprint(inputs, extra);
  const fresh = outputs.every((o) => existsSync(path.join(root, o))) && existsSync(file) && readFileSync(file, "utf8") === now;
  if (fresh) return false;
  rmSync(file, { force: true });
  await step();
  mkdirSync(stampDir, { recursive: true });
  writeFileSync(file, now); // of the inputs as they were before the step: an edit during it makes it stale
  return true;
}

/** Held while setting up, so that `npm start` and `npm test` may begin at once. Returns the release. `waiting`: told once, for whom. */
export async function setupLock(waiting = () => {}, dir = stampDir) {
  mkdirSync(dir, { recursive: true });
  const file = path.join(dir, "lock");
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, `${process.pid} ${startOf(process.pid)}`);
  let told = false;
  try {
    for (;;) {
      try {
        linkSync(mine, file); // with its content at once, or not at all
        const release = () => rmSync(file, { force: true });
        process.once("exit", release);
        return () => (process.off("exit", release), release());
      } catch (e) {
        if (e.code !== "EEXIST") throw e;
      }
      const holder = holderOf(file);
      if (holder === undefined) rmSync(file, { force: true });
      else {
        if (!told) waiting(holder);
        told = true;
        await new Promise((r) => setTimeout(r, 100));
      }
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** The pid of the living process that holds the lock. A pid alone may be another's by now: its start belongs to it. */
function holderOf(file) {
  try {
    const [pid, start] = readFileSync(file, "utf8").split(" ");
    return startOf(pid) === start ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

function startOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}
