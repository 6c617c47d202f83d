// SPDX-License-Identifier: Apache-2.0
// Programs start with what V8 compiled of them before; whatever lies there instead, they do what they should.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { root } from "../lib/exec.mjs";

function program(t, text) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-load-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(path.join(folder, "code"));
  writeFileSync(path.join(folder, "package.json"), '{ "type": "commonjs" }');
  copyFileSync(path.join(root, "scripts/load.cjs"), path.join(folder, "load.js"));
  writeFileSync(path.join(folder, "code/it.js"), `(function (exports, require, module, __filename, __dirname) { ${text} })`);
  writeFileSync(path.join(folder, "it.js"), 'require("./load.js")(__dirname, "it", "h1");');
  const run = (...flags) => execFileSync(process.execPath, [...flags, path.join(folder, "it.js"), "a"], { encoding: "utf8" });
  return { run, cache: path.join(folder, "code/it-h1.cache"), code: path.join(folder, "code") };
}

const TEXT = 'console.log(process.argv[2], require("node:path").basename(__filename), typeof module.exports);';
const SAID = "a it.js object\n";

test("the first run keeps what was compiled, the second changes nothing", (t) => {
  const it = program(t, TEXT);
  t.is(it.run(), SAID);
  const kept = readFileSync(it.cache);
  t.true(kept.length > 100);
  t.is(it.run(), SAID);
  t.deepEqual(readFileSync(it.cache), kept);
  t.deepEqual(readdirSync(it.code).sort(), ["it-h1.cache", "it.js"]);
});

test("bytes of other flags, and damaged ones, are refused and made anew", (t) => {
  const it = program(t, TEXT);
  t.is(it.run(), SAID);
  const kept = readFileSync(it.cache);
  t.is(it.run("--no-opt"), SAID);
  const others = readFileSync(it.cache);
  t.notDeepEqual(others, kept);
  for (const wrong of [Buffer.alloc(0), Buffer.from("nonsense"), others.subarray(0, 64)]) {
    writeFileSync(it.cache, wrong);
    t.is(it.run(), SAID);
    t.true(readFileSync(it.cache).length > 100);
  }
});
