// SPDX-License-Identifier: Apache-2.0
// What `npm pack` takes: all that runs, nothing that only builds and tests need.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { projectRoot } from "../../../services/common/root.js";

interface Packed {
  files: { path: string; mode: number }[];
}

test("the package has the programs and their data, and no tests, maps or sources", (t) => {
  const out = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: projectRoot,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 64 << 20,
  });
  const [{ files }] = JSON.parse(out) as [Packed];
  const names = new Set(files.map((f) => f.path));
  for (const wanted of [
    "dist/programs/marllbctl.js",
    "dist/programs/shm-agent.js",
    "dist/programs/code/shm-agent.js",
    "dist/programs/load.js",
    "dist/programs/package.json",
    "dist/services/console/page/index.html",
    "dist/programs/demo-servers.js",
    "dist/services/console/wire.js",
    "build/native/bin/marllb-dp",
    "build/native/bin/marllb.node",
    "proto/marllb/v1/common.proto",
    "models/marl.onnx",
    "deploy/config/marllb.yaml",
    "docs/runbook.md",
  ])
    t.true(names.has(wanted), wanted);
  // What V8 compiled is of one Node, and made anew where it is missing.
  for (const name of names)
    t.notRegex(name, /\.cache$|\/test\/|\.test\.js$|\.map$|(?<!\.d)\.ts$|^(native|vpp-plugin|training)\//, name);
});

test("the bins are there and can be run; nothing that serving needs is a package of development", (t) => {
  const it = JSON.parse(readFileSync(path.join(projectRoot, "package.json"), "utf8")) as {
    bin: Record<string, string>;
    dependencies: Record<string, string>;
    peerDependenciesMeta: Record<string, { optional: boolean }>;
  };
  for (const file of Object.values(it.bin)) t.true(existsSync(path.join(projectRoot, file)), file);
  const first = readFileSync(path.join(projectRoot, it.bin.marllbctl as string), "utf8").split("\n")[0];
  t.is(first, "#!/usr/bin/env node");
  t.is(it.dependencies["onnxruntime-node"], undefined);
  t.true(it.peerDependenciesMeta["onnxruntime-node"]?.optional);
});
