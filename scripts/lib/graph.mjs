// SPDX-License-Identifier: Apache-2.0
// Which file needs which: imports of TypeScript and JavaScript, includes and calls of C. Circles in it are what nobody can read,
// test or replace alone.
import path from "node:path";
import { functions, includes, usedNames } from "./csource.mjs";

/** @typedef {Map<string, Map<string, string>>} Graph  from, to, why */

/** Adds an edge; the first reason is kept. */
function edge(graph, from, to, why) {
  if (from === to) return;
  if (!graph.has(from)) graph.set(from, new Map());
  if (!graph.get(from).has(to)) graph.get(from).set(to, why);
}

/** Static and dynamic imports by relative path. Types count: what cannot be read alone is a circle as well. */
export function importGraph(sources) {
  const files = new Set(sources.map(([f]) => f));
  const graph = new Map();
  for (const [file, text] of sources) {
    if (!/\.(ts|mjs)$/.test(file)) continue;
    for (const [, target] of text.matchAll(/(?:from\s+|import\s*\(?\s*)"(\.{1,2}\/[^"]+)"/g)) {
      const plain = path.posix.join(path.posix.dirname(file), target);
      const to = [plain.replace(/\.js$/, ".ts"), plain].find((f) => files.has(f));
      if (to) edge(graph, file, to, `imports ${target}`);
    }
  }
  return graph;
}

/** x.c and x.h of one folder (or of src and include) are one unit, for one describes the other. */
export const unitOf = (file) => file.replace(/\.(c|h|cc)$/, "").replace(/\/(src|include\/\w+)\//, "/");

const isTest = (file) => /\/(test|fuzz)\//.test(file);

/** The program or library that a file belongs to: names are its own. */
const componentOf = (file) => file.split("/").slice(0, 2).join("/");

/** The file of `files` that `#include "name"` in `file` means; undefined where it is none of this tree. */
export function findInclude(file, name, files) {
  const beside = path.posix.normalize(path.posix.join(path.posix.dirname(file), name));
  if (files.has(beside)) return beside;
  const ends = [...files].filter((f) => f.endsWith(`/${name}`));
  return ends.find((f) => componentOf(f) === componentOf(file)) ?? ends[0];
}

/** C: who includes whose header, and who uses functions that another file defines. Tests are left out: nothing needs them. */
export function cGraph(sources) {
  const own = sources.filter(([f]) => /\.(c|h|cc)$/.test(f) && !isTest(f));
  const files = new Set(own.map(([f]) => f));
  const definers = new Map();
  for (const [file, text] of own) {
    for (const fn of functions(text)) {
      if (fn.isStatic || fn.name === "main") continue;
      if (!definers.has(fn.name)) definers.set(fn.name, []);
      definers.get(fn.name).push(file);
    }
  }
  const graph = new Map();
  for (const [file, text] of own) {
    for (const name of includes(text)) {
      const to = findInclude(file, name, files);
      if (to) edge(graph, unitOf(file), unitOf(to), `includes ${name}`);
    }
    const mine = new Set(functions(text).map((fn) => fn.name));
    for (const name of usedNames(text)) {
      const where = mine.has(name) ? undefined : definers.get(name);
      const to = where?.find((f) => componentOf(f) === componentOf(file)) ?? where?.[0];
      if (to) edge(graph, unitOf(file), unitOf(to), `uses ${name}`);
    }
  }
  return graph;
}

/** The sets of files that reach each other (Tarjan 1972), each with its edges inside. */
export function circles(graph) {
  const index = new Map();
  const low = new Map();
  const stack = [];
  const on = new Set();
  const found = [];
  const visit = (v) => {
    index.set(v, index.size);
    low.set(v, index.get(v));
    stack.push(v);
    on.add(v);
    for (const w of graph.get(v)?.keys() ?? []) {
      if (!index.has(w)) visit(w);
      if (on.has(w)) low.set(v, Math.min(low.get(v), low.get(w)));
    }
    if (low.get(v) !== index.get(v)) return;
    const members = [];
    let w;
    do {
      w = stack.pop();
      on.delete(w);
      members.push(w);
    } while (w !== v);
    if (members.length > 1) found.push(members.sort());
  };
  for (const v of graph.keys()) if (!index.has(v)) visit(v);
  return found;
}

/** A circle as text: its files and each arrow between them with its reason. */
export function describeCircle(graph, members) {
  const inside = members.flatMap((from) =>
    [...(graph.get(from) ?? [])].filter(([to]) => members.includes(to)).map(([to, why]) => `    ${from} ${why} (${to})`),
  );
  return [`${members.length} files in a circle: ${members.join(", ")}`, ...inside].join("\n");
}
