// SPDX-License-Identifier: Apache-2.0
// node scripts/run.mjs PATH [flags]: set-up, then the compiled module dist/PATH in this process.
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./lib/exec.mjs";
import { setupOrExit } from "./setup.mjs";

const [module, ...rest] = process.argv.slice(2);
if (!module) {
  process.stderr.write("usage: node scripts/run.mjs PATH-UNDER-dist [flags]\n");
  process.exit(2);
}
await setupOrExit();
const file = path.join(root, "dist", module);
if (!existsSync(file)) {
  process.stderr.write(`${module} does not exist in this checkout (looked for ${path.relative(root, file)})\n`);
  process.exit(2);
}
process.argv.splice(1, process.argv.length - 1, file, ...rest);
await import(pathToFileURL(file).href);
