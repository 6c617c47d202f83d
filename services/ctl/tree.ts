// SPDX-License-Identifier: Apache-2.0
// The program's commands as data: what completions and the manual are made of.
import type { Command } from "commander";

export interface Flag {
  /** "--mode", "-h". */
  names: string[];
  /** "--mode <name>". */
  usage: string;
  takesValue: boolean;
  choices: readonly string[];
  help: string;
}

export interface Node {
  /** From the program down: ["policy", "set"]. */
  path: readonly string[];
  /** "marllbctl policy set [options] <name>". */
  usage: string;
  help: string;
  flags: Flag[];
  /** What its first argument may be, where that is a choice. */
  words: readonly string[];
  children: Node[];
}

export function treeOf(command: Command, path: readonly string[] = []): Node {
  const help = command.createHelp();
  const children = help.visibleCommands(command).filter((c) => c.name() !== "help");
  return {
    path,
    usage: help.commandUsage(command),
    help: command.description(),
    flags: help.visibleOptions(command).map((o) => ({
      names: [o.short, o.long].flatMap((n) => n ?? []),
      usage: o.flags,
      takesValue: o.required || o.optional,
      choices: o.argChoices ?? [],
      help: help.optionDescription(o),
    })),
    words: command.registeredArguments[0]?.argChoices ?? [],
    children: children.map((c) => treeOf(c, [...path, c.name()])),
  };
}

/** A node and all below it. */
export const nodes = (n: Node): Node[] => [n, ...n.children.flatMap(nodes)];
