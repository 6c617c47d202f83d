// SPDX-License-Identifier: Apache-2.0
// What a configuration file must be before a YAML parser may see it: text, of a sensible size, not nested to the parser's ruin.
import { readFileSync, statSync } from "node:fs";
import { Lexer } from "yaml";
import { ConfigError } from "./error.js";

/** Sixty-four VIPs with all servers that a region holds take a tenth of it. */
const MAX_BYTES = 4 << 20;
/** The schema needs six. The parser recurses, and a stack that overflows inside a regular expression ends the process. */
const MAX_DEPTH = 64;

export function readConfigText(file: string): string {
  let bytes: Buffer;
  try {
    // The size first: what is not a file at all (a device, a pipe) has none, and is read as it comes.
    const { size } = statSync(file);
    if (size > MAX_BYTES) throw new ConfigError([`${file}: expected at most ${MAX_BYTES} bytes, found ${size}`]);
    bytes = readFileSync(file);
  } catch (e) {
    if (e instanceof ConfigError) throw e;
    throw new ConfigError([`${file}: cannot be read: ${(e as Error).message}`]);
  }
  const text = bytes.toString("utf8");
  // U+FFFD is what bytes that are no UTF-8 become.
  const bad = /[\0\ufffd]/.exec(text);
  if (bad) throw new ConfigError([`${file}:${lineOf(text, bad.index)}: not a text file; expected YAML in UTF-8`]);
  return text;
}

/** Line of the place where brackets, or lists within lists, go deeper than any configuration needs; null = nowhere. */
export function tooDeep(text: string): number | null {
  let line = 1;
  let flow = 0;
  let inLine = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === "[" || token === "{") flow++;
    else if (token === "]" || token === "}") flow--;
    else if (token === "-" || token === "?") inLine++;
    if (flow > MAX_DEPTH || inLine > MAX_DEPTH) return line;
    const breaks = token.split("\n").length - 1;
    if (breaks > 0) inLine = 0;
    line += breaks;
  }
  return null;
}

const lineOf = (text: string, at: number): number => text.slice(0, at).split("\n").length;
