// SPDX-License-Identifier: Apache-2.0
// Reads, validates whole and freezes the configuration. Every error says file, line, column and what was expected.
import { readFileSync } from "node:fs";
import { type Document, isCollection, isMap, isNode, LineCounter, type Node, parse, parseDocument } from "yaml";
import type { z } from "zod";
import { nearest } from "./nearest.js";
import { crossChecks, type Problem } from "./rules.js";
import { type Config, schema } from "./schema.js";

export type { Config, ServiceName } from "./schema.js";

export class ConfigError extends Error {
  readonly code = "CONFIG";
  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
  }
}

/** `sets`: "dotted.path=value" overrides; the value is YAML, list items go by number. */
export function loadConfig(file: string, sets: readonly string[] = []): Config {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (e) {
    throw new ConfigError([`${file}: cannot be read: ${(e as Error).message}`]);
  }
  return parseConfig(text, file, sets);
}

export function parseConfig(text: string, file = "marllb.yaml", sets: readonly string[] = []): Config {
  const lines = new LineCounter();
  const doc = parseDocument(text, { lineCounter: lines });
  const where = (offset: number): string => {
    const p = lines.linePos(offset);
    return `${file}:${p.line}:${p.col}`;
  };
  if (doc.errors.length > 0) {
    throw new ConfigError(doc.errors.map((e) => `${where(e.pos[0])}: ${yamlError(text, e.pos[0], e.message)}`));
  }
  const source = new Map<string, string>();
  for (const set of sets) source.set(applySet(doc, set), `--set ${set}`);

  const at = (path: readonly (string | number)[], key: boolean): string => {
    for (let n = path.length; n > 0; n--) {
      const from = source.get(path.slice(0, n).join("."));
      if (from !== undefined) return from;
    }
    return where(offsetOf(doc, path, key));
  };
  const plain = (doc.toJS() as unknown) ?? {};
  const parsed = schema.safeParse(plain);
  const problems: { path: readonly (string | number)[]; key: boolean; message: string }[] = [];
  if (parsed.success) {
    for (const p of crossChecks(parsed.data)) problems.push({ ...p, key: false });
  } else {
    for (const issue of parsed.error.issues) problems.push(...describe(issue, plain, text, doc));
  }
  if (problems.length > 0) {
    throw new ConfigError(
      problems.map((p) => `${at(p.path, p.key)}: ${p.path.length > 0 ? `${dotted(p.path)}: ` : ""}${p.message}`),
    );
  }
  return deepFreeze((parsed as { data: Config }).data);
}

function dotted(path: readonly (string | number)[]): string {
  return path.map((p, i) => (typeof p === "number" ? `[${p}]` : i === 0 ? p : `.${p}`)).join("");
}

function yamlError(text: string, offset: number, message: string): string {
  const line = lineAt(text, offset);
  return /[[][0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]/.test(line) ? `${IPV6_HINT} (${message})` : message;
}

const IPV6_HINT = 'an IPv6 address must be quoted, such as "[::1]:8080"';

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
    value = parse(set.slice(eq + 1));
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
      if (found === undefined) return [{ path, key: false, message: `missing; expected ${issue.expected}` }];
      const node = doc.getIn(path, true);
      const ipv6 = isCollection(node) && node.range && /^\[[0-9a-fA-F:]*:/.test(text.slice(node.range[0]));
      const message = `expected ${issue.expected === "int" ? "a whole number" : issue.expected}, found ${show(found)}`;
      return [{ path, key: false, message: ipv6 ? `${message}; ${IPV6_HINT}` : message }];
    }
    case "invalid_value": {
      const known = issue.values.map(String);
      const near = typeof found === "string" ? nearest(found, known) : null;
      const meant = near ? `; did you mean ${near}?` : "";
      return [{ path, key: false, message: `expected one of ${known.join(", ")}, found ${show(found)}${meant}` }];
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

function bound(issue: { origin: string }, limit: string, found: unknown): string {
  const unit = issue.origin === "array" ? " entries" : issue.origin === "string" ? " characters" : "";
  return `expected ${limit}${unit}, found ${issue.origin === "array" ? (found as unknown[]).length : show(found)}`;
}

function show(v: unknown): string {
  return v === undefined ? "nothing" : JSON.stringify(v);
}

function valueAt(plain: unknown, path: readonly (string | number)[]): unknown {
  let v: unknown = plain;
  for (const p of path) v = (v as Record<string | number, unknown> | null | undefined)?.[p];
  return v;
}

interface Def {
  type: string;
  innerType?: { _zod: { def: Def } };
  element?: { _zod: { def: Def } };
  shape?: Record<string, { _zod: { def: Def } }>;
  options?: { _zod: { def: Def } }[];
}

/** Keys that the schema knows at `path`: walks through defaults, optionals, arrays and unions. */
function knownKeys(path: readonly (string | number)[]): string[] {
  let defs: Def[] = [schema._zod.def as unknown as Def];
  const open = (d: Def): Def[] =>
    d.innerType ? open(d.innerType._zod.def) : d.options ? d.options.flatMap((o) => open(o._zod.def)) : [d];
  for (const p of path) {
    defs = defs.flatMap(open).flatMap((d) => {
      const next = typeof p === "number" ? d.element : d.shape?.[p];
      return next ? [next._zod.def] : [];
    });
  }
  return [...new Set(defs.flatMap(open).flatMap((d) => Object.keys(d.shape ?? {})))];
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
