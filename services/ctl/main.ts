// SPDX-License-Identifier: Apache-2.0
// marllbctl: the launcher (`up`) and the operator's commands.
import { CommanderError, InvalidArgumentError } from "commander";
import { ConfigError } from "../common/config/error.js";
import { addCommands, newProgram } from "./program.js";
import { LaunchError } from "./up/error.js";

const [, , word] = process.argv;

// `up` serves on when nobody reads; of a command whose reader (head, less) has seen enough nothing more is wanted.
if (word !== "up") {
  process.stdout.on("error", (e: NodeJS.ErrnoException) => process.exit(e.code === "EPIPE" ? 0 : 1));
}

async function main(): Promise<void> {
  const program = newProgram();
  await addCommands(program, word);
  await program.parseAsync();
}

function failed(e: unknown): never {
  // Of a command's own check; what commander finds by itself it has printed, and help and version are no error.
  if (e instanceof InvalidArgumentError) process.stderr.write(`${e.message}\n`);
  if (e instanceof CommanderError) process.exit(e.exitCode === 0 ? 0 : 2);
  if (e instanceof ConfigError || e instanceof LaunchError) {
    process.stderr.write(`${e.message}\n`);
    process.exit(e instanceof LaunchError ? e.exitCode : 2);
  }
  // A full disk, a folder without permission: what the system said is enough. A stack is for what we did not foresee.
  if ((e as NodeJS.ErrnoException).syscall !== undefined) {
    process.stderr.write(`${(e as Error).message}\n`);
    process.exit(1);
  }
  throw e;
}

main().then(() => process.exit(), failed);
