// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { parse } from "yaml";
import { scratch } from "../../../testbed/service.js";
import { jsonSchema } from "../../common/config/json-schema.js";
import { programFile, projectRoot } from "../../common/root.js";

const main = programFile("marllbctl");
const run = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });

function file(t: ExecutionContext, text: string): string {
  const s = scratch();
  t.teardown(s.remove);
  return s.config(text);
}

test("config check: 0 and a line for a good file, 2 and every problem for another, as JSON too", (t) => {
  const shipped = path.join(projectRoot, "deploy/config/marllb.yaml");
  const good = run("config", "check", shipped);
  t.is(good.status, 0, good.stderr);
  t.regex(good.stdout, /marllb\.yaml: good; \d+ VIPs, \d+ servers/);
  const bad = file(t, 'tick_msec: 5\nvips: [{ name: web, address: "127.0.0.1:80", policy: nonsense }]\n');
  const refused = run("config", "check", bad);
  t.is(refused.status, 2);
  t.regex(refused.stderr, /tick_ms/);
  const json = run("config", "check", bad, "--json");
  t.is(json.status, 2);
  const answer = JSON.parse(json.stdout) as { ok: boolean; problems: string[] };
  t.false(answer.ok);
  t.true(answer.problems.length > 0);
  const policy = run("config", "check", file(t, 'vips: [{ name: web, address: "127.0.0.1:80", policy: nonsense }]\n'));
  t.is(policy.status, 2);
  t.regex(policy.stderr, /VIP web: policy/);
});

/** The keys that a JSON Schema allows at a path of keys; of a list: its items'. */
function allowed(schema: Record<string, unknown>, keys: readonly string[]): string[] {
  let at = schema;
  for (const k of keys) {
    at = (at.properties as Record<string, Record<string, unknown>>)[k] as Record<string, unknown>;
    if (at.items) at = at.items as Record<string, unknown>;
  }
  return Object.keys((at.properties as object | undefined) ?? {});
}

test("the JSON Schema knows the keys of the shipped file and refuses others", (t) => {
  const schema = jsonSchema();
  const shipped = parse(readFileSync(path.join(projectRoot, "deploy/config/marllb.yaml"), "utf8")) as Record<string, unknown>;
  for (const key of Object.keys(shipped)) t.true(allowed(schema, []).includes(key), key);
  for (const key of Object.keys(shipped.dataplane as object)) t.true(allowed(schema, ["dataplane"]).includes(key), key);
  t.true(allowed(schema, ["vips", "servers"]).includes("weight"));
  t.is(schema.additionalProperties, false);
  t.is(run("config", "schema").status, 0);
});
