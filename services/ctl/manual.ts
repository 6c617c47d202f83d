// SPDX-License-Identifier: Apache-2.0
// The manual page, made of the commands as they are.
import { type Node, nodes } from "./tree.js";

/** What the exit codes mean, everywhere. */
export const EXIT_CODES: readonly [code: number, meaning: string][] = [
  [0, "done; of check: the server is up; of up: stopped as asked"],
  [1, "not done: nobody answers, a request was refused, a server is down, a deadline is over"],
  [2, "wrong usage, or a wrong configuration: nothing was tried"],
];

/** Text in roff: a line must not begin with a dot or quote, and a hyphen that is typed is one. */
const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1");

const quoted = (text: string): string => `"${text.replaceAll('"', "'")}"`;

function command(n: Node): string[] {
  const own = n.flags.filter((f) => !f.names.includes("--help"));
  return [
    `.SS ${quoted(roff(n.path.join(" ")))}`,
    ".nf",
    roff(n.usage),
    ".fi",
    ...(n.help ? [".PP", roff(n.help)] : []),
    ...own.flatMap((f) => [".TP", `.B ${quoted(roff(f.usage))}`, roff(f.help || "-")]),
  ];
}

export function manual(name: string, version: string, program: Node): string {
  return [
    `.TH ${name.toUpperCase()} 1 "" "marllb ${version}"`,
    ".SH NAME",
    `${name} \\- ${roff(program.help)}`,
    ".SH SYNOPSIS",
    `.B ${name}`,
    ".I command",
    "[options] [arguments]",
    ".SH COMMANDS",
    ...nodes(program)
      .filter((n) => n.path.length > 0)
      .flatMap(command),
    ".SH EXIT STATUS",
    ...EXIT_CODES.flatMap(([code, meaning]) => [".TP", `.B ${code}`, roff(meaning)]),
    ".SH ENVIRONMENT",
    ".TP",
    ".B MARLLB_CONTEXTS",
    "the file of contexts, in place of $XDG_CONFIG_HOME/marllb/contexts.yaml",
    ".TP",
    ".B OTEL_EXPORTER_OTLP_ENDPOINT",
    "where up sends traces; the other variables of OpenTelemetry hold too",
    ".SH SEE ALSO",
    "docs/ops.md, docs/runbook.md and docs/deployment.md of marllb",
    "",
  ].join("\n");
}
