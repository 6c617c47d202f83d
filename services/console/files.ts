// SPDX-License-Identifier: Apache-2.0
// The page's files: ours, and the three libraries from node_modules. Read once, all of them at the start: what is missing is said then.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { projectRoot } from "../common/root.js";

export interface PageFile {
  type: string;
  body: Buffer;
  zipped: Buffer;
  tag: string;
}

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

const compiled = path.join(projectRoot, "dist/services/console");
const folder = path.join(compiled, "page");
const { resolve } = createRequire(import.meta.url);
/** Beside a package's entry lies the form that browsers take. */
const beside = (name: string, file: string): string => path.join(path.dirname(resolve(name)), file);

const LIBRARIES: readonly [url: string, file: () => string][] = [
  ["/lib/preact.js", () => beside("preact", "preact.mjs")],
  ["/lib/htm.js", () => beside("htm", "htm.module.js")],
  ["/lib/uplot.js", () => beside("uplot", "uPlot.esm.js")],
  ["/lib/uplot.css", () => beside("uplot", "uPlot.min.css")],
];

export function pageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const name of readdirSync(folder)) {
    if (TYPES[path.extname(name)] === undefined) continue;
    files.set(name === "index.html" ? "/" : `/page/${name}`, read(path.join(folder, name)));
  }
  // What the page and the server both say.
  files.set("/wire.js", read(path.join(compiled, "wire.js")));
  for (const [url, file] of LIBRARIES) files.set(url, read(file()));
  if (!files.has("/")) throw new Error(`the page's files are missing in ${folder}: run npm run build`);
  return files;
}

function read(file: string): PageFile {
  const body = readFileSync(file);
  const type = TYPES[path.extname(file).replace(".mjs", ".js")] as string;
  const tag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  return { type, body, zipped: gzipSync(body), tag };
}
