// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { scratch } from "../../../../testbed/service.js";
import { eventually } from "../../../../testbed/wait.js";
import { readTargets, watchTargets } from "../../discovery/file-sd.js";

test("targets with labels, as Prometheus has them, JSON or YAML", (t) => {
  const json =
    '[{"targets":["10.0.0.1:80","[2001:db8::1]:80"],"labels":{"weight":"2","priority":"1","job":"web"}},{"targets":["10.0.0.2:80"]}]';
  const expected = [
    { address: "10.0.0.1:80", weight: 2, priority: 1 },
    { address: "[2001:db8::1]:80", weight: 2, priority: 1 },
    { address: "10.0.0.2:80", weight: 1, priority: 0 },
  ];
  t.deepEqual(readTargets(json), expected);
  const yaml =
    '- targets: ["10.0.0.1:80", "[2001:db8::1]:80"]\n  labels: { weight: "2", priority: "1" }\n- targets: ["10.0.0.2:80"]\n';
  t.deepEqual(readTargets(yaml), expected);
  t.deepEqual(readTargets("[]"), []);
});

for (const [what, text, message] of [
  ["a name instead of an address", '[{"targets":["web:80"]}]', /\[0\]\.targets\[0\]: expected IP:PORT/],
  ["a weight of 0", '[{"targets":["10.0.0.1:80"],"labels":{"weight":"0"}}]', /\[0\]\.labels\.weight: /],
  ["a weight that is no number", '[{"targets":["10.0.0.1:80"],"labels":{"weight":"two"}}]', /\[0\]\.labels\.weight: /],
  ["a map", '{"targets":["10.0.0.1:80"]}', /expected a list/],
  ["an empty file", "", /expected a list/],
  ["half of a file", '[{"targets":["10.0.0.1:80"', /./],
] as const) {
  test(`${what} is said, with its place`, (t) => {
    t.throws(() => readTargets(text), { message });
  });
}

test("a file is read again when it is written, replaced, or found by a link that is turned elsewhere; what is wrong changes nothing", async (t) => {
  const { dir, remove } = scratch();
  t.teardown(remove);
  const list = (port: number): string => JSON.stringify([{ targets: [`10.0.0.1:${port}`] }]);
  for (const k of ["a", "b"]) mkdirSync(join(dir, k));
  writeFileSync(join(dir, "a", "list.json"), list(1));
  symlinkSync("a", join(dir, "now"));
  const said: string[] = [];
  const stop = watchTargets(
    join(dir, "now", "list.json"),
    (found) => said.push(found.map((s) => s.address.split(":")[1]).join()),
    (reason) => said.push(reason),
    20,
  );
  t.teardown(stop);
  const hears = (what: RegExp) => eventually(String(what), async () => what.test(said.at(-1) ?? ""));
  await hears(/^1$/);
  writeFileSync(join(dir, "a", "list.json"), list(2));
  await hears(/^2$/);
  writeFileSync(join(dir, "a", "fresh"), list(3));
  renameSync(join(dir, "a", "fresh"), join(dir, "a", "list.json"));
  await hears(/^3$/);
  writeFileSync(join(dir, "b", "list.json"), list(4));
  symlinkSync("b", join(dir, "next"));
  renameSync(join(dir, "next"), join(dir, "now"));
  await hears(/^4$/);
  writeFileSync(join(dir, "b", "list.json"), "[{");
  await hears(/[a-z]/);
  rmSync(join(dir, "b", "list.json"));
  await hears(/ENOENT/);
  writeFileSync(join(dir, "b", "list.json"), list(5));
  await hears(/^5$/);
  t.deepEqual(
    said.filter((s) => /^\d$/.test(s)),
    ["1", "2", "3", "4", "5"],
  );
});

test("a file that could not be read for a while is found again, though it is the same", async (t) => {
  const { dir, remove } = scratch();
  t.teardown(remove);
  for (const k of ["a", "b"]) mkdirSync(join(dir, k));
  writeFileSync(join(dir, "a", "list.json"), '[{"targets":["10.0.0.1:1"]}]');
  mkdirSync(join(dir, "b", "list.json")); // a folder opens, and is no file to read
  const turn = (to: string): void => {
    symlinkSync(to, join(dir, "next"));
    renameSync(join(dir, "next"), join(dir, "now"));
  };
  turn("a");
  const said: string[] = [];
  const stop = watchTargets(
    join(dir, "now", "list.json"),
    (found) => said.push(`${found.length} found`),
    (reason) => said.push(reason),
    20,
  );
  t.teardown(stop);
  const hears = (what: RegExp) => eventually(String(what), async () => what.test(said.at(-1) ?? ""));
  await hears(/^1 found$/);
  // A link in the place of another is one that leads nowhere meanwhile.
  symlinkSync("loop", join(dir, "loop"));
  turn("loop");
  await hears(/ELOOP/);
  turn("b");
  await hears(/expected a file, found a folder/);
  turn("a");
  await hears(/^1 found$/);
  t.pass();
});

test("a pipe in its place holds up nothing, and a file that is too large is not read", async (t) => {
  const { dir, remove } = scratch();
  t.teardown(remove);
  const file = join(dir, "list.json");
  execFileSync("mkfifo", [file]);
  const said: string[] = [];
  const stop = watchTargets(
    file,
    (found) => said.push(`${found.length} found`),
    (reason) => said.push(reason),
    20,
  );
  t.teardown(stop);
  const hears = (what: RegExp) => eventually(String(what), async () => what.test(said.at(-1) ?? ""));
  await hears(/expected a file, found a device or pipe/);
  rmSync(file);
  writeFileSync(file, `${" ".repeat(5 << 20)}[]`);
  await hears(/expected at most \d+ bytes, found \d+/);
  writeFileSync(file, '[{"targets":["10.0.0.1:1"]}]');
  await hears(/^1 found$/);
  t.pass();
});
