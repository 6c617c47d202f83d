// SPDX-License-Identifier: Apache-2.0
// What shells and manuals want to know of this program.
import { Argument, type Command } from "commander";
import { version } from "../../common/version.js";
import { completion, SHELLS, type Shell } from "../completion.js";
import { manual } from "../manual.js";
import { treeOf } from "../tree.js";

export function register(program: Command): void {
  program
    .command("completion")
    .description("print the completions for a shell; the first line says where they go")
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .action((shell: Shell) => void process.stdout.write(completion(shell, program.name(), treeOf(program))));
  program
    .command("manual")
    .description("print the manual page: marllbctl manual | man -l -")
    .action(() => void process.stdout.write(manual(program.name(), version, treeOf(program))));
}
