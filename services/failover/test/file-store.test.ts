// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { fileStore } from "../file-store.js";
import type { PoolState } from "../pool.js";

const pool = (term: number): PoolState => ({
  name: "web",
  vipId: 1,
  managed: true,
  revision: 3,
  term,
  members: [{ address: "10.0.0.1:80", weight: 1.5, drain: true }],
  override: { entries: [{ address: "10.0.0.1:80", weight: 2 }], mode: "MODE_SED", reason: "x" },
  down: ["10.0.0.1:80"],
  holders: ["a"],
});

test("what is saved is loaded by the next life, and no temporary file stays", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "marllb-store-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "sub", "state.json");
  const first = fileStore(path, () => t.fail());
  t.deepEqual(await first.load(), []);
  await Promise.all(Array.from({ length: 20 }, (_, i) => first.save(pool(i + 1))));
  await first.close();
  const second = fileStore(path, () => t.fail());
  t.deepEqual(await second.load(), [pool(20)]);
  t.deepEqual(readdirSync(join(dir, "sub")), ["state.json"]);
});

test("what is removed is not there in the next life", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "marllb-store-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "state.json");
  const first = fileStore(path, () => t.fail());
  await first.save(pool(1));
  await first.save({ ...pool(1), name: "api" });
  await first.remove("web");
  await first.close();
  t.deepEqual(
    (await fileStore(path, () => t.fail()).load()).map((p) => p.name),
    ["api"],
  );
});

test("a damaged file is kept aside with a warning, an entry that is no pool is left out", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "marllb-store-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "state.json");
  const warnings: string[] = [];
  writeFileSync(path, '{"version":1,"pools":[');
  t.deepEqual(await fileStore(path, (w) => warnings.push(w)).load(), []);
  t.true(existsSync(`${path}.bad`));
  t.is(warnings.length, 1);
  writeFileSync(path, JSON.stringify({ version: 1, pools: [pool(1), { name: 5 }] }));
  t.deepEqual(await fileStore(path, (w) => warnings.push(w)).load(), [pool(1)]);
  t.is(warnings.length, 2);
  const half = [null, { ...pool(1), members: [null] }, { ...pool(1), override: { entries: 5, mode: "", reason: "" } }];
  writeFileSync(path, JSON.stringify({ version: 1, pools: [...half, pool(2)] }));
  t.deepEqual(await fileStore(path, (w) => warnings.push(w)).load(), [pool(2)]);
  t.is(warnings.length, 5);
});

test("what cannot be read or moved is warned of, and the service starts", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "marllb-store-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const warnings: string[] = [];
  const path = join(dir, "state.json");
  mkdirSync(path);
  mkdirSync(join(`${path}.bad`, "full"), { recursive: true }); // a folder that is not empty takes no other's place
  t.deepEqual(await fileStore(path, (w) => warnings.push(w)).load(), []);
  t.regex(warnings[0] ?? "", /EISDIR.*cannot be moved away.*starting empty/);
});

test("a write that failed is made up for once the disk takes it, without another change", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "marllb-store-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "sub", "state.json");
  writeFileSync(join(dir, "sub"), "in the way");
  let again = () => {};
  const written = new Promise<void>((resolve) => (again = resolve));
  let failures = 0;
  let failedTwice = () => {};
  const twice = new Promise<void>((resolve) => (failedTwice = resolve));
  const failed = () => ++failures === 2 && failedTwice();
  const store = fileStore(path, () => again(), failed, 20);
  await t.throwsAsync(store.save(pool(1)));
  await t.throwsAsync(store.save(pool(2)));
  await twice; // an alert on failures must not fall silent while the disk is full
  rmSync(join(dir, "sub"));
  await written;
  t.deepEqual(await fileStore(path, () => t.fail()).load(), [pool(2)]);
  await store.close();
});

test("a close writes what an earlier write could not", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "marllb-store-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "sub", "state.json");
  writeFileSync(join(dir, "sub"), "in the way");
  const store = fileStore(
    path,
    () => t.fail(),
    () => {},
    1e6,
  );
  await t.throwsAsync(store.save(pool(3)));
  rmSync(join(dir, "sub"));
  await store.close();
  t.deepEqual(await fileStore(path, () => t.fail()).load(), [pool(3)]);
});
