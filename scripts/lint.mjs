// SPDX-License-Identifier: Apache-2.0
// npm run lint: formatting and rules (Biome), proto rules (buf), and the rules of this tree that no linter knows.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { bin, exec, root, which } from "./lib/exec.mjs";
import { cGraph, circles, describeCircle, findInclude, importGraph } from "./lib/graph.mjs";
import { cColumns, cFunctions, hostContract, serviceImports, sourceRules, testImports } from "./lib/rules.mjs";

async function sourceFiles() {
  const { code, out } = await exec("git", ["ls-files", "--cached", "--others", "--exclude-standard"]);
  if (code !== 0) return undefined;
  return out.split("\n").filter((f) => f && existsSync(path.join(root, f)));
}

async function tool(name, command, args, cwd = root) {
  const { code, out } = await exec(command, args, { cwd });
  return { name, ok: code === 0, output: code === 0 ? "" : out };
}

const each = (sources, rule) => sources.flatMap(([f, text]) => rule(f, text));
const circlesOf = (graph) => circles(graph).map((members) => describeCircle(graph, members));

/** The rules of this tree: {name, ok, output}. */
export function rules(sources) {
  const files = new Set(sources.map(([f]) => f));
  const found = {
    "services do not import each other": each(sources, serviceImports),
    "hosts count by events only": each(sources, hostContract),
    "no imports of another room's test folder": each(sources, (f, text) =>
      testImports(f, text, (from, name) => findInclude(from, name, files)),
    ),
    "source rules": each(sources, sourceRules),
    "C lines of at most 130 columns": each(sources, cColumns),
    "C functions of at most 70 lines": each(sources, cFunctions),
    "no circles among imports": circlesOf(importGraph(sources)),
    "no circles among C files": circlesOf(cGraph(sources)),
  };
  return Object.entries(found).map(([name, problems]) => ({ name, ok: problems.length === 0, output: problems.join("\n") }));
}

/** Another version of the tool forms the same code otherwise, so this one or none. */
async function formC(files) {
  const name = "clang-format";
  if (!which("clang-format-14"))
    return { name, skipped: "clang-format-14 is not installed (sudo apt-get install -y clang-format-14)" };
  const sources = files.filter((f) => /\.(c|h|cc)$/.test(f));
  return tool(name, "clang-format-14", ["--dry-run", "--Werror", "--ferror-limit=1", ...sources]);
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
  results.push(...rules(sources), await formC(sources.map(([f]) => f)));
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
