// SPDX-License-Identifier: Apache-2.0
// The rules of docs/style.md that no linter knows. Each takes a file's path and text and returns problems, one line each.
import path from "node:path";
import { columns, functions } from "./csource.mjs";

const maxLines = 450;
const maxFunctionLines = 70;
const maxColumns = 130;
// Spelt so that this file does not find itself.
const unfinished = /\b(TO[D]O|FIX[M]E)\b/;
const isC = (file) => /\.(c|h|cc)$/.test(file);

/** Services talk over gRPC only: services/a must not import services/b, services/common excepted; nor a program's own parts. */
export function serviceImports(file, text) {
  const owner = /^services\/([^/]+)\//.exec(file)?.[1];
  if (!owner) return [];
  const problems = [];
  for (const [, target] of text.matchAll(/(?:from\s+|import\s*\(?\s*)"(\.{1,2}\/[^"]+)"/g)) {
    const other = /^services\/([^/]+)\//.exec(path.posix.join(path.posix.dirname(file), target))?.[1];
    if (other && other !== owner && other !== "common")
      problems.push(`${file}: imports ${target}: services never import each other`);
  }
  return problems;
}

/** What every source file owes its reader. */
export function sourceRules(file, text) {
  if (!/\.(ts|mjs|c|h|cc|py|proto|sh)$/.test(file)) return [];
  const problems = [];
  const lines = text.split("\n");
  if (!lines.slice(0, 3).some((l) => l.includes("SPDX-License-Identifier: Apache-2.0"))) {
    problems.push(`${file}: no "SPDX-License-Identifier: Apache-2.0" in its first three lines`);
  }
  if (lines.length > maxLines + 1)
    problems.push(`${file}: ${lines.length - 1} lines, more than ${maxLines}: split it by reasons to change`);
  const marker = lines.findIndex((l) => unfinished.test(l));
  if (marker >= 0) problems.push(`${file}:${marker + 1}: unfinished work marker: ${lines[marker].trim()}`);
  return problems;
}

const CONTRACT = [
  {
    of: /^(native\/(?!core\/)|vpp-plugin\/)/,
    not: /\bmlb_wslot(_\w+)?\b|worker_slot\.h/,
    why: "uses a worker's counters: count by the mlb_ev_* calls of marllb/worker.h",
  },
  {
    of: /^(native\/dataplane\/|vpp-plugin\/)/,
    not: /\bmlb_(choose|sed|p2c|alias_choose)\(/,
    why: "chooses past ejection: mlb_dp_choose of marllb/dp.h gives an ejected server's probe to one flow",
  },
];

/** A data plane counts by the events of marllb/worker.h and chooses by marllb/dp.h: what lies behind them belongs to the core alone. */
export function hostContract(file, text) {
  const lines = /\.(c|h|cc)$/.test(file) ? text.split("\n") : [];
  return CONTRACT.filter((rule) => rule.of.test(file)).flatMap((rule) => {
    const at = lines.findIndex((l) => rule.not.test(l));
    return at < 0 ? [] : [`${file}:${at + 1}: ${rule.why}`];
  });
}

/** clang-format breaks no long string and no word of a comment. */
export function cColumns(file, text) {
  if (!isC(file)) return [];
  return text
    .split("\n")
    .flatMap((l, i) => (columns(l) > maxColumns ? [`${file}:${i + 1}: ${columns(l)} columns, more than ${maxColumns}`] : []));
}

export function cFunctions(file, text) {
  if (!isC(file)) return [];
  return functions(text)
    .filter((fn) => fn.lines > maxFunctionLines)
    .map((fn) => `${file}:${fn.line}: ${fn.name} has ${fn.lines} lines, more than ${maxFunctionLines}`);
}

/** A test folder is its room's own: what others need stands in a room for it (services/testbed, native/testing). */
export function testImports(file, text, resolve) {
  const targets = isC(file)
    ? [...text.matchAll(/^[ \t]*#[ \t]*include[ \t]+"([^"]+)"/gm)].map((m) => resolve(file, m[1]))
    : [...text.matchAll(/(?:from\s+|import\s*\(?\s*)"(\.{1,2}\/[^"]+)"/g)].map((m) =>
        path.posix.join(path.posix.dirname(file), m[1]),
      );
  return targets.flatMap((to) => {
    const room = /^(.*?)\/test\//.exec(to ?? "")?.[1];
    if (room === undefined || file.startsWith(`${room}/`)) return [];
    return [`${file}: uses ${to}, of the test folder of ${room}`];
  });
}
