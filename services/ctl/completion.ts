// SPDX-License-Identifier: Apache-2.0
// Completions for shells, made of the commands as they are. Each script finds the command that the words so far lead to, and offers its
// subcommands, the choices of its argument, and its flags.
import { type Flag, type Node, nodes } from "./tree.js";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const flagsWithChoices = (all: readonly Node[]): Flag[] => {
  const seen = new Map<string, Flag>();
  for (const f of all.flatMap((n) => n.flags)) if (f.choices.length > 0) seen.set(f.names.at(-1) as string, f);
  return [...seen.values()];
};
const valueFlags = (all: readonly Node[]): string[] => [
  ...new Set(all.flatMap((n) => n.flags.filter((f) => f.takesValue).flatMap((f) => f.names))),
];
const words = (n: Node): string[] => [...n.children.map((c) => c.path.at(-1) as string), ...n.words];

/** The path of subcommands among the words, in the shells' common language of bash and zsh. `at`: the index of the first word after ours. */
function pathOf(all: readonly Node[], list: string, at: string, last: string): string[] {
  const paths = all.filter((n) => n.path.length > 0).map((n) => quoted(n.path.join(" ")));
  return [
    "  local at= skip= i",
    `  for ((i = ${at}; i < ${last}; i++)); do`,
    `    local word=\${${list}[i]}`,
    "    if [[ -n $skip ]]; then skip=; continue; fi",
    `    case "$word" in ${valueFlags(all).join("|")}) skip=1; continue ;; -*) continue ;; esac`,
    // Parameters of commands are no part of the path.
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    '    local next="${at:+$at }$word"',
    `    case "$next" in ${paths.join("|")}) at=$next ;; esac`,
    "  done",
  ];
}

function bash(name: string, all: readonly Node[]): string {
  return [
    `# bash completion of ${name}: source <(${name} completion bash)`,
    `_${name}() {`,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"',
    '  case "$prev" in',
    ...flagsWithChoices(all).map(
      (f) => `    ${f.names.join("|")}) COMPREPLY=($(compgen -W ${quoted(f.choices.join(" "))} -- "$cur")); return ;;`,
    ),
    `    ${valueFlags(all).join("|")}) COMPREPLY=($(compgen -f -- "$cur")); return ;;`,
    "  esac",
    ...pathOf(all, "COMP_WORDS", "1", "COMP_CWORD"),
    "  local words= flags=",
    '  case "$at" in',
    ...all.map(
      (n) =>
        `    ${quoted(n.path.join(" "))}) words=${quoted(words(n).join(" "))} flags=${quoted(n.flags.flatMap((f) => f.names).join(" "))} ;;`,
    ),
    "  esac",
    "  [[ $cur == -* ]] && words=$flags",
    '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
    "}",
    `complete -F _${name} ${name}`,
    "",
  ].join("\n");
}

const described = (word: string, help: string): string => quoted(`${word.replaceAll(":", "\\:")}:${help}`);

function zsh(name: string, all: readonly Node[]): string {
  const list = (n: Node): string =>
    [...n.children.map((c) => described(c.path.at(-1) as string, c.help)), ...n.words.map((w) => described(w, ""))].join(" ");
  const flags = (n: Node): string => n.flags.flatMap((f) => f.names.map((x) => described(x, f.help))).join(" ");
  return [
    `#compdef ${name}`,
    `# zsh completion of ${name}: ${name} completion zsh > "\${fpath[1]}/_${name}"`,
    `_${name}() {`,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    "  local cur=${words[CURRENT]} prev=${words[CURRENT-1]}",
    '  case "$prev" in',
    ...flagsWithChoices(all).map((f) => `    ${f.names.join("|")}) compadd -- ${f.choices.map(quoted).join(" ")}; return ;;`),
    `    ${valueFlags(all).join("|")}) _files; return ;;`,
    "  esac",
    ...pathOf(all, "words", "2", "CURRENT"),
    "  local -a offered flags",
    '  case "$at" in',
    ...all.map((n) => `    ${quoted(n.path.join(" "))}) offered=(${list(n)}) flags=(${flags(n)}) ;;`),
    "  esac",
    "  [[ $cur == -* ]] && offered=($flags)",
    `  _describe ${name} offered`,
    "}",
    `if [ "$funcstack[1]" = _${name} ]; then _${name} "$@"; else compdef _${name} ${name}; fi`,
    "",
  ].join("\n");
}

function fish(name: string, all: readonly Node[]): string {
  const at = (n: Node): string => `-n ${quoted(`test (__${name}_at) = ${quoted(n.path.join(" "))}`)}`;
  const paths = all.filter((n) => n.path.length > 0).map((n) => quoted(n.path.join(" ")));
  return [
    `# fish completion of ${name}: ${name} completion fish > ~/.config/fish/completions/${name}.fish`,
    `function __${name}_at`,
    "  set -l at ''",
    "  set -l skip 0",
    "  for word in (commandline -opc)[2..]",
    "    if test $skip = 1",
    "      set skip 0",
    "      continue",
    "    end",
    "    switch $word",
    `      case ${valueFlags(all).join(" ")}`,
    "        set skip 1",
    "      case '-*'",
    "      case '*'",
    '        set -l next (string trim "$at $word")',
    `        contains -- $next ${paths.join(" ")}; and set at $next`,
    "    end",
    "  end",
    '  echo "$at"',
    "end",
    `complete -c ${name} -f`,
    ...all.flatMap((n) => [
      ...n.children.map((c) => `complete -c ${name} ${at(n)} -a ${quoted(c.path.at(-1) as string)} -d ${quoted(c.help)}`),
      ...n.words.map((w) => `complete -c ${name} ${at(n)} -a ${quoted(w)}`),
      ...n.flags.flatMap((f) => {
        const long = f.names.find((x) => x.startsWith("--"))?.slice(2);
        if (!long) return [];
        const value = f.choices.length > 0 ? ` -xa ${quoted(f.choices.join(" "))}` : f.takesValue ? " -rF" : "";
        return [`complete -c ${name} ${at(n)} -l ${long}${value} -d ${quoted(f.help)}`];
      }),
    ]),
    "",
  ].join("\n");
}

export function completion(shell: Shell, name: string, program: Node): string {
  return { bash, zsh, fish }[shell](name, nodes(program));
}
