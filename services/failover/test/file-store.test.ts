// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { fileStore } from "../file-store.js";
import { type Change, emptyIntent, HISTORY_LIMIT, type Intent } from "../intent.js";
import { NotTaken, type Store, type Stored } from "../store.js";

const intent = (pool: string, version: number): Intent => ({
  ...emptyIntent(pool),
  version,
  managed: true,
  members: [{ address: "10.0.0.1:80", weight: 1.5 }],
  override: { entries: [{ address: "10.0.0.1:80", weight: 2 }], mode: "MODE_SED", by: "ann", reason: "x", at: 3 },
});
const change = (version: number): Change => ({ version, id: `op${version}`, what: ["x"], by: "ann", reason: "", at: version });

function folder(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), "marllb-store-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  return dir;
}

/** All that it holds, once it is read. */
const listed = (store: Store): Promise<Stored[]> =>
  new Promise((resolve) => store.follow({ listed: (all) => resolve([...all]), put() {}, lost() {}, away() {} }));

async function write(store: Store, pool: string, version: number): Promise<string | null> {
  const mark = version === 1 ? null : String(version - 1);
  return store.commit({ intent: intent(pool, version), mark, changes: [change(version)] });
}

test("what is committed is read by the next life, with its history, and no temporary file stays", async (t) => {
  const dir = join(folder(t), "sub", "failover");
  const first = fileStore(dir, () => t.fail());
  t.deepEqual(await listed(first), []);
  await Promise.all([1, 2, 3].map((v) => write(first, "web", v)));
  await write(first, "../other name", 1);
  await first.close();
  const second = fileStore(dir, () => t.fail());
  const all = await listed(second);
  t.deepEqual(
    all.map((s) => s.intent).sort((a, b) => b.version - a.version),
    [intent("web", 3), intent("../other name", 1)],
  );
  t.deepEqual(await second.history("web", 2), [change(3), change(2)]);
  t.deepEqual(readdirSync(dir).sort(), ["..%2Fother%20name.json", "lock", "web.json"]);
});

test("only what replaces the newest record is taken", async (t) => {
  const store = fileStore(folder(t), () => t.fail());
  await listed(store);
  t.is(await write(store, "web", 1), "1");
  t.is(await store.commit({ intent: intent("web", 9), mark: null, changes: [] }), null);
  t.is(await store.commit({ intent: intent("web", 9), mark: "7", changes: [] }), null);
  t.deepEqual(await store.read("web"), { intent: intent("web", 1), mark: "1" });
  t.is(await store.read("api"), null);
});

test("the history is bounded", async (t) => {
  const store = fileStore(folder(t), () => t.fail());
  await listed(store);
  const changes = Array.from({ length: HISTORY_LIMIT + 5 }, (_, i) => change(i + 1));
  await store.commit({ intent: intent("web", changes.length), mark: null, changes });
  const kept = await store.history("web", 5000);
  t.deepEqual([kept.length, kept[0]?.version, kept.at(-1)?.version], [HISTORY_LIMIT, HISTORY_LIMIT + 5, 6]);
});

test("a file that is no record is kept aside with a warning, and the others count", async (t) => {
  const dir = folder(t);
  const first = fileStore(dir, () => t.fail());
  await listed(first);
  await write(first, "web", 1);
  const good = { version: 1, intent: intent("x", 1), history: [] };
  const bad = {
    half: '{"version":1,"intent":{"pool"',
    null: "null",
    wrong: JSON.stringify({ ...good, intent: { ...good.intent, holds: [{}] } }),
    elsewhere: JSON.stringify(good),
    past: JSON.stringify({ ...good, intent: intent("past", 1), history: [null] }),
  };
  for (const [name, text] of Object.entries(bad)) writeFileSync(join(dir, `${name}.json`), text);
  await first.close();
  const warnings: string[] = [];
  const all = await listed(fileStore(dir, (w) => warnings.push(w)));
  t.deepEqual(
    all.map((s) => s.intent.pool),
    ["web"],
  );
  t.is(warnings.length, Object.keys(bad).length);
  for (const name of Object.keys(bad)) t.true(existsSync(join(dir, `${name}.json.bad`)), name);
});

test("where no folder can be, it is said, nothing is taken, and it is looked at again", async (t) => {
  const path = join(folder(t), "failover.json");
  writeFileSync(path, "{}");
  const store = fileStore(path, () => t.fail(), 5);
  const reasons: string[] = [];
  await new Promise<void>((resolve) =>
    store.follow({
      listed: () => resolve(),
      put() {},
      lost() {},
      away(reason) {
        if (reasons.push(reason) === 2) rmSync(path);
      },
    }),
  );
  t.regex(reasons[0] ?? "", /failover\.json: expected a folder.*found a file/);
  t.is(await write(store, "web", 1), "1");
  await store.close();
});

test("nothing is taken before the folder is read", async (t) => {
  const store = fileStore(folder(t), () => t.fail());
  await t.throwsAsync(write(store, "web", 1), { message: /not read yet/ });
  await t.throwsAsync(store.read("web"), { message: /not read yet/ });
});

test("a write that fails is no change, and the next one may succeed", async (t) => {
  const dir = join(folder(t), "failover");
  const store = fileStore(dir, () => t.fail());
  await listed(store);
  mkdirSync(join(dir, "web.json", "in the way"), { recursive: true });
  await t.throwsAsync(write(store, "web", 1), { instanceOf: NotTaken });
  t.is(await store.read("web"), null);
  rmSync(join(dir, "web.json"), { recursive: true });
  t.is(await write(store, "web", 1), "1");
  await store.close();
});
