// SPDX-License-Identifier: Apache-2.0
// What the three benchmark programs share: flags, the machine's name, running the groups, the file.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import os from "node:os";
import { parseArgs } from "node:util";
import { projectRoot } from "../../services/common/root.js";
import { nativeBin } from "../../testbed/process.js";
import { line, type Row, writeRows } from "./row.js";

export interface BenchOptions {
  quick: boolean;
  /** Another built checkout of marllb: rows `ID.vs_before` compare this one with it, in the same rounds. */
  before?: string;
  /** True where a row with this id (or a group with this prefix) is asked for. */
  wants(id: string): boolean;
  /** Prints a row at once and keeps it for the file. */
  report(row: Row): void;
  progress(text: string): void;
}

export interface Group {
  /** Prefixes of the ids that this group can produce. */
  ids: readonly string[];
  run(options: BenchOptions): Promise<void>;
}

const usage = (name: string) =>
  `usage: npm run ${name} [-- --only ID-PREFIX[,...]] [--quick] [--json FILE] [--before CHECKOUT]\n`;

export async function benchMain(name: string, groups: readonly Group[]): Promise<void> {
  let flags: { only?: string; quick?: boolean; json?: string; before?: string; help?: boolean };
  try {
    flags = parseArgs({
      options: {
        only: { type: "string" },
        quick: { type: "boolean" },
        json: { type: "string" },
        before: { type: "string" },
        help: { type: "boolean" },
      },
    }).values;
  } catch (e) {
    process.stderr.write(`${(e as Error).message}\n${usage(name)}`);
    process.exit(2);
  }
  if (flags.help) {
    process.stdout.write(`${usage(name)}rows: ${groups.flatMap((g) => g.ids).join(", ")}\n`);
    return;
  }
  if (flags.before && !existsSync(nativeBin("marllb-dp", flags.before))) {
    process.stderr.write(`--before ${flags.before}: no built checkout of marllb there (npm run build makes one)\n`);
    process.exit(2);
  }
  const rows: Row[] = [];
  const only = (flags.only ?? "").split(",");
  const wants = (id: string) => only.some((o) => id.startsWith(o) || o.startsWith(id));
  const options: BenchOptions = {
    quick: flags.quick ?? false,
    ...(flags.before ? { before: flags.before } : {}),
    wants,
    report(r) {
      if (!only.some((o) => r.id.startsWith(o))) return;
      rows.push(r);
      process.stdout.write(`${line(r)}\n`);
    },
    progress: (text) => void process.stderr.write(`# ${text}\n`),
  };
  const chosen = groups.filter((g) => g.ids.some(wants));
  if (chosen.length === 0) {
    process.stderr.write(`--only ${flags.only}: no such row; there are: ${groups.flatMap((g) => g.ids).join(", ")}\n`);
    process.exit(2);
  }
  let broken = false;
  for (const g of chosen) {
    try {
      await g.run(options);
    } catch (e) {
      broken = true;
      process.stderr.write(`${g.ids.join(", ")}: could not run: ${(e as Error).stack}\n`);
    }
  }
  if (rows.length === 0 && !broken) {
    process.stderr.write(`--only ${flags.only}: no such row; there are: ${chosen.flatMap((g) => g.ids).join(", ")}\n`);
    process.exit(2);
  }
  if (flags.json) writeRows(flags.json, machine(), commit(), rows);
  process.exit(broken ? 1 : 0);
}

function machine(): string {
  const cpu = os.cpus();
  return `${cpu.length} x ${cpu[0]?.model ?? "unknown"}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Linux ${os.release()}, Node ${process.versions.node}`;
}

function commit(): string {
  try {
    return execFileSync("git", ["-C", projectRoot, "rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}
