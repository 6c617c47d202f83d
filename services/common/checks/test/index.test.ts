// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import * as z from "zod";
import { parseConfig } from "../../config/load.js";
import { defineCheck } from "../check.js";
import { ACTIVE_KINDS, CHECK_KINDS, checkHelp, checkKeys, findCheck } from "../index.js";

test("every kind can be configured with its keys at their defaults", (t) => {
  for (const kind of CHECK_KINDS.filter((k) => k !== "exec")) t.is(parseConfig(`health: { kind: ${kind} }`).health.kind, kind);
  const health = parseConfig("").health as Record<string, unknown>;
  for (const key of Object.keys(checkKeys())) t.not(health[key], undefined, key);
});

test("a wrong kind or key is refused with what there is", (t) => {
  t.throws(() => parseConfig("health: { kind: htp }"), { message: /health\.kind: .*http/ });
  t.throws(() => parseConfig("health: { pth: / }"), { message: /health\.pth: unknown key; did you mean path/ });
  t.throws(() => parseConfig("health: { path: x }"), { message: /health\.path: expected a path that begins with/ });
  t.throws(() => findCheck("nothing"), { message: /expected one of tcp, / });
});

test("two kinds may share a key only with its declaration", (t) => {
  const kind = (name: string, type: z.ZodType) =>
    defineCheck({ kind: name, help: "", schema: { path: type }, run: async () => "" });
  const shared = z.string().default("/");
  t.deepEqual(Object.keys(checkKeys([kind("a", shared), kind("b", shared)])), ["path"]);
  t.throws(() => checkKeys([kind("a", shared), kind("b", z.string())]), {
    message: /check b: another kind declares the key path/,
  });
});

test("help names every kind; none of the active kinds is `none`", (t) => {
  for (const kind of CHECK_KINDS) t.true(checkHelp().includes(`${kind}: `), kind);
  t.false(ACTIVE_KINDS.includes("none"));
});
