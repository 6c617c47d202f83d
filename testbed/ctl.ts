// SPDX-License-Identifier: Apache-2.0
// marllbctl as an operator runs it.

import { spawn } from "node:child_process";
import { programFile } from "../services/common/root.js";

/** Its command line. */
export const ctlCommand = (...args: readonly string[]): [file: string, ...args: string[]] => [
  process.execPath,
  programFile("marllbctl"),
  ...args,
];

export interface Said {
  code: number | null;
  out: string;
  errors: string;
}

/** For a command that asks services: a loaded machine answers late. */
export const PATIENCE: readonly string[] = ["--timeout", "60000"];

/** Runs it to its end. */
export function marllbctl(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Said> {
  const [file, ...rest] = ctlCommand(...args);
  return new Promise((resolve) => {
    const it = spawn(file, rest, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    const said: Said = { code: null, out: "", errors: "" };
    it.stdout.setEncoding("utf8").on("data", (s: string) => (said.out += s));
    it.stderr.setEncoding("utf8").on("data", (s: string) => (said.errors += s));
    it.on("close", (code) => resolve({ ...said, code }));
  });
}
