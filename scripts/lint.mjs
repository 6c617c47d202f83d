// SPDX-License-Identifier: Apache-2.0
// npm run lint: formatting and rules (Biome), proto rules (buf), and the rules of this tree that no linter knows.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { bin, exec, root, which } from "./lib/exec.mjs";

const maxLines = 450;
// Spelt so that this file does not find itself.
const unfinished = /\b(TO[D]O|FIX[M]E)\b/;

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

/** A data plane counts by the events of marllb/worker.h: what lies behind them belongs to the core alone. */
export function hostContract(file, text) {
  if (!/^(native\/(?!core\/)|vpp-plugin\/).*\.(c|h|cc)$/.test(file)) return [];
  const line = text.split("\n").findIndex((l) => /\bmlb_wslot(_\w+)?\b|worker_slot\.h/.test(l));
  return line < 0 ? [] : [`${file}:${line + 1}: uses a worker's counters: count by the mlb_ev_* calls of marllb/worker.h`];
}

async function sourceFiles() {
  const { code, out } = await exec("git", ["ls-files", "--cached", "--others", "--exclude-standard"]);
  if (code !== 0) return undefined;
  return out.split("\n").filter((f) => f && existsSync(path.join(root, f)));
}

async function tool(name, command, args, cwd = root) {
  const { code, out } = await exec(command, args, { cwd });
  return { name, ok: code === 0, output: code === 0 ? "" : out };
}

/** All checks, as results {name, ok, output, skipped}. */
export async function lint() {
  const results = [
    await tool("biome", bin("biome"), ["check", "--error-on-warnings", "--max-diagnostics=40", "."]),
    await tool("buf", bin("buf"), ["lint"], path.join(root, "proto")),
  ];
  const files = await sourceFiles();
  if (!files) return [...results, { name: "source rules", skipped: "not a git checkout: the list of sources comes from git" }];
  const sources = files
    .filter((f) => /\.(ts|mjs|c|h|cc|py|proto|sh)$/.test(f))
    .map((f) => [f, readFileSync(path.join(root, f), "utf8")]);
  const imports = sources.flatMap(([f, text]) => serviceImports(f, text));
  const rules = sources.flatMap(([f, text]) => sourceRules(f, text));
  results.push({ name: "services do not import each other", ok: imports.length === 0, output: imports.join("\n") });
  const contract = sources.flatMap(([f, text]) => hostContract(f, text));
  results.push({ name: "hosts count by events only", ok: contract.length === 0, output: contract.join("\n") });
  results.push({ name: "source rules", ok: rules.length === 0, output: rules.join("\n") });
  const shell = files.filter((f) => f.endsWith(".sh") || f === ".ci/run");
  if (!which("shellcheck"))
    results.push({ name: "shellcheck", skipped: "shellcheck is not installed (sudo apt-get install -y shellcheck)" });
  else if (shell.length > 0) results.push(await tool("shellcheck", "shellcheck", shell));
  return results;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  let failed = 0;
  for (const r of await lint()) {
    console.log(`${r.skipped ? "skipped" : r.ok ? "ok" : "FAILED"}: ${r.name}${r.skipped ? `: ${r.skipped}` : ""}`);
    if (r.output) console.log(r.output);
    if (!r.skipped && !r.ok) failed++;
  }
  process.exit(failed > 0 ? 1 : 0);
}
