// SPDX-License-Identifier: Apache-2.0
// npm run evaluation: the simulated rows of bench:policies, and docs/evaluation.md's tables made of them. Plots: build/bench/policies-*.svg.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { projectRoot } from "../../services/common/root.js";
import { fill, tables } from "./policies/evaluation-tables.js";
import type { Row } from "./row.js";

const usage = `usage: npm run evaluation [-- --quick] [--rows FILE]
  --quick      fewer scenarios and seeds: a tenth of the work, wider intervals
  --rows FILE  the tables of rows that bench:policies --json wrote before, without running anything
`;
/** What is measured here alone: nothing on real TCP, and no time of this machine. */
const simulated =
  "policy.family.,policy.counts20ms.,policy.v2.,policy.named2.,policy.hole.,policy.keepalive.,policy.rtt.,policy.bigsmall.,policy.capacity_at_p99.," +
  "policy.light.,policy.back_after_slow_s,policy.llm.,policy.ablation.";

function bench(rows: string, quick: boolean): Promise<number> {
  const program = path.join(projectRoot, "dist", "loadtest", "bench", "policies.js");
  const args = [program, "--only", simulated, "--json", rows, ...(quick ? ["--quick"] : [])];
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
}

async function main(): Promise<number> {
  let flags: { quick?: boolean; rows?: string; help?: boolean };
  try {
    flags = parseArgs({ options: { quick: { type: "boolean" }, rows: { type: "string" }, help: { type: "boolean" } } }).values;
  } catch (e) {
    process.stderr.write(`${(e as Error).message}\n${usage}`);
    return 2;
  }
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const folder = path.join(projectRoot, "build", "bench");
  mkdirSync(folder, { recursive: true });
  const file = flags.rows ?? path.join(folder, "evaluation.json");
  const code = flags.rows ? 0 : await bench(file, flags.quick ?? false);
  if (code !== 0) return code;
  const { commit, rows } = JSON.parse(readFileSync(file, "utf8")) as { commit: string; rows: Row[] };
  const document = path.join(projectRoot, "docs", "evaluation.md");
  const text = fill(readFileSync(document, "utf8"), tables(rows, commit));
  writeFileSync(document, text);
  return 0;
}

process.exit(await main());
