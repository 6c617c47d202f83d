// SPDX-License-Identifier: Apache-2.0
// The one way to change an intent, over a store of this test that fails as it is told.
import test from "ava";
import { FakeTimers } from "../../../testbed/fake-timers.js";
import type { Change, Intent } from "../intent.js";
import { Intents } from "../intents.js";
import { hold, release } from "../operations.js";
import { type Commit, NotTaken, type Store, type Stored, type StoreListener } from "../store.js";

/** What all replicas share. */
class Shared {
  readonly records = new Map<string, { stored: Stored; history: Change[] }>();
  revision = 0;
  readonly listeners: StoreListener[] = [];
}

class TestStore implements Store {
  /** What the next calls do instead: `lost` writes and answers nothing, `refused` does neither, `full` says that it does not. */
  readonly next: ("lost" | "refused" | "full")[] = [];
  deaf = false;
  commits = 0;

  constructor(private readonly shared: Shared) {}

  follow(listener: StoreListener): void {
    this.shared.listeners.push({ ...listener, put: (s) => this.deaf || listener.put(s) });
    listener.listed([...this.shared.records.values()].map((r) => r.stored));
  }

  async read(pool: string): Promise<Stored | null> {
    await null;
    return this.shared.records.get(pool)?.stored ?? null;
  }

  async commit(c: Commit): Promise<string | null> {
    await null;
    this.commits++;
    const how = this.next.shift();
    if (how === "refused") throw new Error("no answer");
    if (how === "full") throw new NotTaken("no space left");
    const { pool } = c.intent;
    const before = this.shared.records.get(pool);
    if ((before?.stored.mark ?? null) !== c.mark) return null;
    const stored = { intent: structuredClone(c.intent), mark: String(++this.shared.revision) };
    this.shared.records.set(pool, { stored, history: [...[...c.changes].reverse(), ...(before?.history ?? [])] });
    for (const l of this.shared.listeners) l.put(stored);
    if (how === "lost") throw new Error("no answer");
    return stored.mark;
  }

  async history(pool: string, limit: number): Promise<Change[]> {
    return (this.shared.records.get(pool)?.history ?? []).slice(0, limit);
  }

  async close(): Promise<void> {}
}

let ids = 0;
function replica(shared: Shared) {
  const store = new TestStore(shared);
  const timers = new FakeTimers();
  const states: string[] = [];
  const heard: Intent[] = [];
  const taken: Change[] = [];
  const intents = new Intents({
    store,
    timers,
    unixMs: () => 5,
    newId: () => `op${++ids}`,
    taken: (_, change) => taken.push(change),
    changed: (intent) => heard.push(intent),
    stateChanged: (state) => states.push(state),
    failed: () => {},
  });
  intents.start();
  const drain = (address: string) => intents.operate("web", hold("drain", address, null, stamp), stamp);
  return { store, timers, states, heard, taken, intents, drain };
}
const stamp = { by: "ann", reason: "why", at: 1 };
const drainedIn = (i: Intent | undefined): string[] => (i?.holds ?? []).map((h) => h.address).sort();

/** Lets virtual time pass until it is settled. */
async function settle<T>(promise: Promise<T>, ...timers: FakeTimers[]): Promise<T> {
  let open = true;
  promise.then(
    () => (open = false),
    () => (open = false),
  );
  for (let i = 0; open && i < 100_000; i++) {
    for (const t of timers) t.advance(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return promise;
}

test("drains of two replicas at once are all there, each version once, and both know them", async (t) => {
  const shared = new Shared();
  const [a, b] = [replica(shared), replica(shared)];
  const all = Array.from({ length: 60 }, (_, i) => (i % 2 ? a : b).drain(`s${i}`));
  await settle(Promise.all(all), a.timers, b.timers);
  const stored = shared.records.get("web");
  t.is(drainedIn(stored?.stored.intent).length, 60);
  t.deepEqual(drainedIn(a.intents.get("web")), drainedIn(b.intents.get("web")));
  t.deepEqual(
    stored?.history.map((c) => c.version).reverse(),
    Array.from({ length: 60 }, (_, i) => i + 1),
  );
  t.true(a.store.commits + b.store.commits < 30, "those that wait go out together");
});

test("what nobody waits for any more is not written; one that was written without an answer is looked for all the same", async (t) => {
  const shared = new Shared();
  const a = replica(shared);
  let gone = true;
  const ask = (address: string) => a.intents.operate("web", hold("drain", address, null, stamp), stamp, () => gone);
  const [late, waited] = [ask("s1"), a.drain("s2")];
  await t.throwsAsync(settle(late, a.timers), { code: "ABORTED" } as object);
  await settle(waited, a.timers);
  t.deepEqual(drainedIn(shared.records.get("web")?.stored.intent), ["s2"]);
  gone = false;
  a.store.next.push("lost");
  const doubtful = ask("s3");
  while (a.store.commits < 2) await new Promise((resolve) => setImmediate(resolve));
  gone = true;
  t.deepEqual((await settle(doubtful, a.timers)).what, ["drain s3"]);
});

test("one that stands already is answered by the newest record, not by memory", async (t) => {
  const shared = new Shared();
  const [a, b] = [replica(shared), replica(shared)];
  await settle(a.drain("s1"), a.timers);
  b.store.deaf = true;
  a.store.deaf = true;
  await settle(b.intents.operate("web", release("drain", "s1"), stamp), b.timers);
  const again = await settle(a.drain("s1"), a.timers);
  t.deepEqual(again.what, ["drain s1"], "the other replica had ended it");
  t.deepEqual(drainedIn(shared.records.get("web")?.stored.intent), ["s1"]);
});

test("a write without an answer that is in the store is not done twice", async (t) => {
  const shared = new Shared();
  const a = replica(shared);
  a.store.next.push("lost");
  const done = await settle(a.drain("s1"), a.timers);
  t.deepEqual([done.what, done.intent.version], [["drain s1"], 1]);
  t.like(a.taken, [{ by: "ann", reason: "why", version: 1, what: ["drain s1"] }], "it is told once who ordered what");
  t.is(shared.records.get("web")?.history.length, 1);
});

test("of a write that surely did not take place it is said that nothing was changed", async (t) => {
  const a = replica(new Shared());
  a.store.next.push(...Array(1000).fill("full"));
  const e = await t.throwsAsync(settle(a.drain("s1"), a.timers));
  t.regex(e?.message ?? "", /no space left.*; nothing was changed$/);
});

test("a store that takes nothing: the caller hears UNAVAILABLE in time, and nothing changes here", async (t) => {
  const shared = new Shared();
  const a = replica(shared);
  a.store.next.push(...Array(1000).fill("refused"));
  const started = a.timers.now();
  const e = await t.throwsAsync(settle(a.drain("s1"), a.timers));
  t.is((e as unknown as { code: string }).code, "UNAVAILABLE");
  t.regex(e?.message ?? "", /no answer.*may have been taken or not/);
  t.true(a.timers.now() - started < 5000);
  t.is(a.intents.get("web").version, 0);
  a.store.next.length = 0;
  t.deepEqual((await settle(a.drain("s2"), a.timers)).what, ["drain s2"], "the next one is taken");
});

test("what the newest record forbids is refused by itself, and the others of the same write are taken", async (t) => {
  const shared = new Shared();
  const a = replica(shared);
  const forbidden = a.intents.operate(
    "web",
    () => {
      throw new Error("forbidden");
    },
    stamp,
  );
  const good = a.drain("s1");
  await t.throwsAsync(forbidden, { message: "forbidden" });
  await settle(good, a.timers);
  t.deepEqual(drainedIn(shared.records.get("web")?.stored.intent), ["s1"]);
});

test("a store that lost a record gets it back from whoever knows it, and an order is made on top of what was answered OK", async (t) => {
  const shared = new Shared();
  const a = replica(shared);
  await settle(a.drain("s1"), a.timers);
  await settle(a.drain("s2"), a.timers);
  shared.records.clear();
  await settle(a.drain("s3"), a.timers);
  t.deepEqual(drainedIn(shared.records.get("web")?.stored.intent), ["s1", "s2", "s3"]);
  shared.records.clear();
  shared.listeners[0]?.listed([]);
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(drainedIn(shared.records.get("web")?.stored.intent), ["s1", "s2", "s3"]);
});

test("orders wait for the first list, and for the next one after words may have been missed; a store that is away keeps none waiting", (t) => {
  const shared = new Shared();
  const a = replica(shared);
  const [listener] = shared.listeners as [StoreListener];
  t.true(a.intents.ordering);
  listener.lost("cut");
  t.false(a.intents.ordering);
  a.timers.advance(999);
  t.false(a.intents.ordering);
  listener.listed([]);
  t.true(a.intents.ordering);
  a.timers.advance(5000);
  t.is(a.intents.state, "current");
  listener.lost("cut");
  a.timers.advance(1001);
  t.deepEqual([a.intents.state, a.intents.ordering], ["away", true]);
  listener.listed([]);
  t.deepEqual(a.states, ["current", "relisting", "current", "relisting", "away", "current"]);
});

test("without a first list nothing is ordered, however long it takes", (t) => {
  let listener: StoreListener | undefined;
  const timers = new FakeTimers();
  const store: Store = Object.assign(new TestStore(new Shared()), { follow: (l: StoreListener) => void (listener = l) });
  const intents = new Intents({
    store,
    timers,
    unixMs: () => 0,
    newId: () => "",
    taken() {},
    changed() {},
    stateChanged() {},
    failed() {},
  });
  intents.start();
  listener?.away("nobody listens");
  timers.advance(1e9);
  t.deepEqual([intents.state, intents.ordering, intents.reason], ["starting", false, "nobody listens"]);
});

test("an older record, or one heard late, changes nothing", async (t) => {
  const shared = new Shared();
  const a = replica(shared);
  await settle(a.drain("s1"), a.timers);
  const one = structuredClone(shared.records.get("web")?.stored) as Stored;
  await settle(a.drain("s2"), a.timers);
  a.heard.length = 0;
  shared.listeners[0]?.put(one);
  t.deepEqual(a.heard, []);
  t.deepEqual(drainedIn(a.intents.get("web")), ["s1", "s2"]);
});

test("a record that no etcd and no message would take is refused, and a long change is shortened in the history only", async (t) => {
  const shared = new Shared();
  const a = replica(shared);
  const lines = Array.from({ length: 2000 }, (_, i) => `add 10.0.${i >> 8}.${i & 255}:80 weight 1`);
  const done = await settle(
    a.intents.operate("web", (newest) => ({ next: newest, what: lines }), stamp),
    a.timers,
  );
  t.is(done.what.length, 2000);
  const [kept] = await a.intents.history("web", 1);
  t.true((kept?.what.join().length ?? 0) <= 1100);
  t.is(kept?.what[0], lines[0]);
  t.is(kept?.what.at(-1), `and ${2000 - (kept?.what.length ?? 0) + 1} more`);
  const long = { ...stamp, reason: "r".repeat(500) };
  const holds = Array.from({ length: 2000 }, (_, i) => ({
    ...long,
    address: `s${i}`,
    kind: "drain" as const,
    deadline: null,
    close: false,
  }));
  const large = a.intents.operate("web", (newest) => ({ next: { ...newest, holds }, what: ["x"] }), stamp);
  await t.throwsAsync(settle(large, a.timers), {
    code: "RESOURCE_EXHAUSTED",
    message: /would take \d+ bytes, at most 700000/,
  } as object);
  t.is(a.intents.get("web").version, 1);
});
