// SPDX-License-Identifier: Apache-2.0
// The schema's own knowledge, for messages: which keys there are, which kinds.
import { schema } from "./schema.js";

interface Def {
  type: string;
  innerType?: { _zod: { def: Def } };
  element?: { _zod: { def: Def } };
  shape?: Record<string, { _zod: { def: Def } }>;
  options?: { _zod: { def: Def } }[];
  values?: unknown[];
}

const open = (d: Def): Def[] =>
  d.innerType ? open(d.innerType._zod.def) : d.options ? d.options.flatMap((o) => open(o._zod.def)) : [d];

/** What the schema has at `path`: walks through defaults, optionals, arrays and unions. */
function defsAt(path: readonly (string | number)[]): Def[] {
  let defs: Def[] = [schema._zod.def as unknown as Def];
  for (const p of path) {
    defs = defs.flatMap(open).flatMap((d) => {
      const next = typeof p === "number" ? d.element : d.shape?.[p];
      return next ? [next._zod.def] : [];
    });
  }
  return defs.flatMap(open);
}

/** Keys that the schema knows at `path`. */
export function knownKeys(path: readonly (string | number)[]): string[] {
  return [...new Set(defsAt(path).flatMap((d) => Object.keys(d.shape ?? {})))];
}

/** The values of a union's discriminator at `path`; empty where there is none. */
export function kindsOf(path: readonly (string | number)[], discriminator: string | undefined): string[] {
  return discriminator === undefined ? [] : defsAt(path).flatMap((d) => (d.values ?? []).map(String));
}
