// SPDX-License-Identifier: Apache-2.0
// Runs a program of dist/programs with what V8 compiled of it before, which is most of what a start costs. V8 itself refuses the bytes where they are of
// another Node, of other flags or damaged: then it compiles anew, and what it compiled is kept when the program ends, where this folder may be written.
"use strict";
const { readFileSync, renameSync, rmSync, writeFileSync } = require("node:fs");
const Module = require("node:module");
const path = require("node:path");
const { Script } = require("node:vm");

function bytesOf(file) {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Whole or not at all: another process may read it. */
function keep(file, script) {
  const own = `${file}.${process.pid}`;
  try {
    writeFileSync(own, script.createCachedData());
    renameSync(own, file);
  } catch {
    rmSync(own, { force: true });
  }
}

/** `hash`: of the code, as it was when the caller was written. */
module.exports = function load(folder, name, hash) {
  const file = path.join(folder, "code", `${name}.js`);
  const cache = path.join(folder, "code", `${name}-${hash}.cache`);
  const cachedData = bytesOf(cache);
  // The build wrote ASCII, and Node's wrapper around a module with it.
  const script = new Script(readFileSync(file, "latin1"), { filename: file, cachedData });
  if (cachedData === undefined || script.cachedDataRejected) process.once("exit", () => keep(cache, script));
  const it = new Module(file, module.parent);
  it.filename = file;
  script.runInThisContext()(it.exports, Module.createRequire(file), it, file, path.dirname(file));
};
