// SPDX-License-Identifier: Apache-2.0
// Reads, validates whole and freezes the configuration. Every error says file, line, column and what was expected.
import { type Document, isCollection, isMap, isNode, LineCounter, type Node, parse, parseDocument } from "yaml";
import type { z } from "zod";
import { ConfigError } from "./error.js";
import { nearest } from "./nearest.js";
import { crossChecks, type Problem } from "./rules.js";
import { type Config, schema } from "./schema.js";
import { kindsOf, knownKeys } from "./schema-walk.js";
import { readConfigText, tooDeep } from "./text.js";

export { ConfigError } from "./error.js";
export type { Config, ServiceName } from "./schema.js";

/** More say nothing new, and scroll away the ones that matter. */
const MAX_PROBLEMS = 20;

/** `sets`: "dotted.path=value" overrides; the value is YAML, list items go by number. */
export function loadConfig(file: string, sets: readonly string[] = []): Config {
  return parseConfig(readConfigText(file), file, sets);
}

export function parseConfig(text: string, file = "marllb.yaml", sets: readonly string[] = []): Config {
  const deep = tooDeep(text);
  if (deep !== null)
    throw new ConfigError([`${file}:${deep}: nested too deeply; expected keys and lists as in deploy/config/marllb.yaml`]);
  const lines = new LineCounter();
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const where = (offset: number): string => {
    const p = lines.linePos(offset);
    return `${file}:${p.line}:${p.col}`;
  };
  if (doc.errors.length > 0) {
    throw limited(doc.errors.map((e) => `${where(e.pos[0])}: ${yamlError(text, e.pos[0], e.code, e.message)}`));
  }
  const source = new Map<string, string>();
  for (const set of sets) source.set(applySet(doc, set), `--set ${set}`);

  const at = (path: readonly (string | number)[], key: boolean): string => {
    for (let n = path.length; n > 0; n--) {
      const from = source.get(path.slice(0, n).join("."));
      if (from !== undefined) return from;
    }
    // What an override made on its way is nowhere in the file.
    const made = doc.getIn(path, true);
    if (isNode(made) && !made.range) {
      for (const [p, from] of source) if (p.startsWith(`${path.join(".")}.`)) return from;
    }
    return where(offsetOf(doc, path, key));
  };
  const plain = toPlain(doc, file);
  const parsed = schema.safeParse(plain);
  const problems: { path: readonly (string | number)[]; key: boolean; message: string }[] = [];
  if (parsed.success) {
    for (const p of crossChecks(parsed.data)) problems.push({ ...p, key: false });
  } else {
    for (const issue of parsed.error.issues) problems.push(...describe(issue, plain, text, doc));
  }
  if (problems.length > 0) {
    throw limited(problems.map((p) => `${at(p.path, p.key)}: ${p.path.length > 0 ? `${dotted(p.path)}: ` : ""}${p.message}`));
  }
  return deepFreeze((parsed as { data: Config }).data);
}

function dotted(path: readonly (string | number)[]): string {
  return path.map((p, i) => (typeof p === "number" ? `[${p}]` : i === 0 ? p : `.${p}`)).join("");
}

function limited(problems: readonly string[]): ConfigError {
  const rest = problems.length - MAX_PROBLEMS;
  return new ConfigError(rest > 1 ? [...problems.slice(0, MAX_PROBLEMS), `and ${rest} more`] : problems);
}

/** Aliases are followed so often at most: a few lines of them may stand for gigabytes. */
function toPlain(doc: Document, file: string): unknown {
  try {
    return (doc.toJS({ maxAliasCount: 100 }) as unknown) ?? {};
  } catch (e) {
    throw new ConfigError([`${file}: ${(e as Error).message}`]);
  }
}

function yamlError(text: string, offset: number, code: string, message: string): string {
  const line = lineAt(text, offset);
  if (code === "TAB_AS_INDENT" || (code === "BAD_INDENT" && line.startsWith("\t")))
    return "a tab: expected spaces as indentation";
  if (code === "DUPLICATE_KEY") return `the key ${keyAt(text, offset)} is there twice`;
  if (code === "MULTIPLE_DOCS") return "a second document begins; expected one a file";
  return /[[][0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]/.test(line) ? `${IPV6_HINT} (${message})` : message;
}

const MAX_SHOWN = 120;
const IPV6_HINT = 'an IPv6 address must be quoted, such as "[::1]:8080"';

const keyAt = (text: string, offset: number): string => /^[^\s:]*/.exec(text.slice(offset))?.[0] ?? "";

function lineAt(text: string, offset: number): string {
  const from = text.lastIndexOf("\n", Math.max(0, offset - 1)) + 1;
  const to = text.indexOf("\n", offset);
  return text.slice(from, to < 0 ? undefined : to);
}

/** Sets one value; returns the dotted path. */
function applySet(doc: Document, set: string): string {
  const eq = set.indexOf("=");
  if (eq <= 0) throw new ConfigError([`--set ${set}: expected KEY=VALUE, such as --set tick_ms=100`]);
  const path = set
    .slice(0, eq)
    .split(".")
    .map((p) => (/^\d+$/.test(p) ? Number(p) : p));
  let value: unknown;
  try {
    value = parse(set.slice(eq + 1), { prettyErrors: false });
    if (doc.contents === null) (doc as { contents: unknown }).contents = doc.createNode({});
    doc.setIn(path, doc.createNode(value));
  } catch (e) {
    throw new ConfigError([`--set ${set}: ${(e as Error).message}`]);
  }
  return path.join(".");
}

function describe(
  issue: z.core.$ZodIssue,
  plain: unknown,
  text: string,
  doc: Document,
): { path: (string | number)[]; key: boolean; message: string }[] {
  const path = issue.path.filter((p): p is string | number => typeof p !== "symbol");
  const found = valueAt(plain, path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((k) => {
        const known = knownKeys(path);
        const near = nearest(k, known);
        return {
          path: [...path, k],
          key: true,
          message: `unknown key${near ? `; did you mean ${near}?` : `; expected one of ${known.join(", ")}`}`,
        };
      });
    case "invalid_type": {
      const wanted = wantedType(issue.expected, path);
      if (found === undefined) return [{ path, key: false, message: `missing; expected ${wanted}` }];
      const node = doc.getIn(path, true);
      const ipv6 = isCollection(node) && node.range && /^\[[0-9a-fA-F:]*:/.test(text.slice(node.range[0]));
      const message = `expected ${wanted}, found ${show(found)}`;
      return [{ path, key: false, message: ipv6 ? `${message}; ${IPV6_HINT}` : message }];
    }
    case "invalid_value": {
      return [{ path, key: false, message: oneOf(issue.values.map(String), found) }];
    }
    case "invalid_union": {
      // A map whose kind is none of those that there are.
      const known = kindsOf(path, issue.discriminator);
      if (known.length === 0) return [{ path, key: false, message: `${issue.message}, found ${show(found)}` }];
      if (found === undefined) return [{ path, key: false, message: `missing; expected one of ${known.join(", ")}` }];
      return [{ path, key: false, message: oneOf(known, found) }];
    }
    case "too_small":
      return [
        { path, key: false, message: bound(issue, `${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`, found) },
      ];
    case "too_big":
      return [
        { path, key: false, message: bound(issue, `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`, found) },
      ];
    default:
      return [{ path, key: false, message: `${issue.message}, found ${show(found)}` }];
  }
}

function oneOf(known: readonly string[], found: unknown): string {
  const near = typeof found === "string" ? nearest(found, known) : null;
  return `expected one of ${known.join(", ")}, found ${show(found)}${near ? `; did you mean ${near}?` : ""}`;
}

/** The type as a person would say it; of a map, its keys. */
function wantedType(expected: string, path: readonly (string | number)[]): string {
  if (expected === "int") return "a whole number";
  if (expected === "array") return "a list";
  return expected === "object" ? `a map (keys: ${knownKeys(path).join(", ")})` : expected;
}

function bound(issue: { origin: string }, limit: string, found: unknown): string {
  const unit = issue.origin === "array" ? " entries" : issue.origin === "string" ? " characters" : "";
  return `expected ${limit}${unit}, found ${issue.origin === "array" ? (found as unknown[]).length : show(found)}`;
}

function show(v: unknown): string {
  if (v === undefined) return "nothing";
  if (typeof v === "number") return String(v); // NaN and infinity too
  try {
    const text = JSON.stringify(v);
    return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
  } catch {
    return "an alias of itself";
  }
}

function valueAt(plain: unknown, path: readonly (string | number)[]): unknown {
  let v: unknown = plain;
  for (const p of path) v = (v as Record<string | number, unknown> | null | undefined)?.[p];
  return v;
}

/** Offset of the node at `path` (of its key where `key`), or of the nearest parent that exists. */
function offsetOf(doc: Document, path: readonly (string | number)[], key: boolean): number {
  if (key) {
    const parent = path.length > 1 ? doc.getIn(path.slice(0, -1), true) : doc.contents;
    if (isMap(parent)) {
      const pair = parent.items.find((i) => isNode(i.key) && String(i.key) === String(path.at(-1)));
      if (pair && isNode(pair.key)) return (pair.key as Node).range?.[0] ?? 0;
    }
  }
  for (let n = path.length; n >= 0; n--) {
    const node = n === 0 ? doc.contents : doc.getIn(path.slice(0, n), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

function deepFreeze<T>(v: T): T {
  if (typeof v === "object" && v !== null && !Object.isFrozen(v)) {
    Object.freeze(v);
    for (const x of Object.values(v)) deepFreeze(x);
  }
  return v;
}

export type { Problem };
