// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The nearest folder upwards that holds the package: a module lies in dist/services/common, a program's code in dist/programs/code. */
function packageFolder(from: string): string {
  if (existsSync(path.join(from, "package.json")) && existsSync(path.join(from, "proto"))) return from;
  const above = path.dirname(from);
  if (above === from) throw new Error(`no package.json with proto beside it above ${fileURLToPath(import.meta.url)}`);
  return packageFolder(above);
}

/** The project's folder, with a separator at its end. Data files (proto, models) are read from there. */
export const projectRoot: string = packageFolder(path.dirname(fileURLToPath(import.meta.url))) + path.sep;

/** The file of a program: dist/programs (scripts/programs.mjs makes it and lists them). */
export const programFile = (name: string): string => path.join(projectRoot, "dist/programs", `${name}.js`);
