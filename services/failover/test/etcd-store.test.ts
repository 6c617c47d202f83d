// SPDX-License-Identifier: Apache-2.0
// Replicas over a real etcd, where one is installed.
import type { ExecutionContext } from "ava";
import { Etcd, etcdMissing } from "../../../testbed/etcd.js";
import { needs } from "../../../testbed/needs.js";
import { eventually, sleep } from "../../../testbed/wait.js";
import { systemTimers } from "../../common/stream.js";
import { type EtcdOptions, etcdStore } from "../etcd-store.js";
import { HISTORY_LIMIT, type Intent } from "../intent.js";
import { type Done, Intents } from "../intents.js";
import { hold, release } from "../operations.js";

const withEtcd = needs(etcdMissing === null, etcdMissing ?? "");

const stamp = { by: "ann", reason: "why", at: 1 };
let ids = 0;

interface Replica {
  intents: Intents;
  states: string[];
  drain(address: string): Promise<Done>;
  undrain(address: string): Promise<Done>;
  drained(): string[];
}

function replica(t: ExecutionContext, options: EtcdOptions): Replica {
  const states: string[] = [];
  const intents = new Intents({
    store: etcdStore(options, (w) => t.log(w)),
    timers: systemTimers(() => performance.now()),
    unixMs: () => Date.now(),
    newId: () => `${process.pid}.${++ids}`,
    taken() {},
    changed() {},
    stateChanged: (state) => states.push(state),
    failed() {},
    // This machine may be as slow as it likes.
    withinMs: 30_000,
  });
  intents.start();
  t.teardown(() => intents.close());
  return {
    intents,
    states,
    drain: (address) => intents.operate("web", hold("drain", address, null, stamp), stamp),
    undrain: (address) => intents.operate("web", release("drain", address), stamp),
    drained: () =>
      intents
        .get("web")
        .holds.map((h) => h.address)
        .sort(),
  };
}

const current = (r: Replica): Promise<unknown> =>
  eventually("the store is heard", async () => r.intents.state === "current").catch((e: Error) => {
    throw new Error(`${e.message}: ${r.intents.reason}`);
  });
const same = (a: Replica, b: Replica): Promise<unknown> =>
  eventually("both replicas know the same", async () => a.intents.get("web").version === b.intents.get("web").version);

async function etcd(t: ExecutionContext): Promise<Etcd> {
  const it = await Etcd.start();
  t.teardown(() => it.stop());
  return it;
}

withEtcd("60 drains at once through two replicas: none is lost, and both know all", async (t) => {
  const { endpoint } = await etcd(t);
  const [a, b] = [0, 1].map(() => replica(t, { endpoints: [endpoint], prefix: "/test/" })) as [Replica, Replica];
  await Promise.all([current(a), current(b)]);
  const servers = Array.from({ length: 60 }, (_, i) => `s${i}`);
  await Promise.all(servers.map((s, i) => (i % 2 ? a : b).drain(s)));
  await same(a, b);
  t.deepEqual(a.drained(), [...servers].sort());
  t.deepEqual(b.drained(), a.drained());
  const history = await a.intents.history("web", HISTORY_LIMIT);
  t.deepEqual(
    history.map((c) => c.version),
    Array.from({ length: 60 }, (_, i) => 60 - i),
  );
  t.is(new Set(history.map((c) => c.id)).size, 60);
  const late = replica(t, { endpoints: [endpoint], prefix: "/test/" });
  await current(late);
  t.deepEqual(late.drained(), a.drained(), "a new replica begins with them");
});

withEtcd(
  "etcd is killed and comes back: what was answered OK is there, what was not says so, and orders are taken again",
  async (t) => {
    const it = await etcd(t);
    const options = { endpoints: [it.endpoint], prefix: "/test/" };
    const [a, b] = [replica(t, options), replica(t, options)];
    await Promise.all([current(a), current(b)]);
    await a.drain("s1");
    await it.kill();
    await eventually("both say that it is away", async () => [a, b].every((r) => r.intents.state === "away"));
    t.true(a.intents.ordering, "what is known is ordered");
    t.deepEqual(a.drained(), ["s1"]);
    const waiting = a.drain("s2");
    await sleep(300);
    await it.again();
    await waiting;
    await Promise.all([current(a), current(b), same(a, b)]);
    t.deepEqual(b.drained(), ["s1", "s2"]);
  },
);

withEtcd("etcd is away for longer than an operation may take: UNAVAILABLE, and nothing of it later", async (t) => {
  const it = await etcd(t);
  const store = etcdStore({ endpoints: [it.endpoint], prefix: "/test/" }, (w) => t.log(w));
  const timers = systemTimers(() => performance.now());
  const quiet = { taken() {}, changed() {}, stateChanged() {}, failed() {} };
  const intents = new Intents({ store, timers, unixMs: () => 0, newId: () => `x${++ids}`, withinMs: 1500, ...quiet });
  intents.start();
  t.teardown(() => intents.close());
  await eventually("the store is heard", async () => intents.state === "current");
  await it.kill();
  const drain = hold("drain", "s1", null, stamp);
  const e = await t.throwsAsync(intents.operate("web", drain, stamp));
  t.is((e as unknown as { code: string }).code, "UNAVAILABLE");
  await it.again();
  await eventually("the store is heard again", async () => intents.state === "current");
  t.deepEqual((await intents.refresh("web")).holds, []);
});

withEtcd("a start without etcd waits for it, and orders nothing before", async (t) => {
  const it = await etcd(t);
  const options = { endpoints: [it.endpoint], prefix: "/test/" };
  const before = replica(t, options);
  await before.drain("s1");
  await it.kill();
  const a = replica(t, options);
  await eventually("it says why", async () => a.intents.reason.startsWith("etcd: "));
  t.deepEqual([a.intents.state, a.intents.ordering], ["starting", false]);
  await it.again();
  await current(a);
  t.deepEqual(a.drained(), ["s1"]);
});

withEtcd("a watch that was cut over a compaction: everything is read again before anything is ordered", async (t) => {
  const it = await etcd(t);
  const [a, b] = [it.endpoint, await it.cuttable(t)].map((e) => replica(t, { endpoints: [e], prefix: "/test/" })) as [
    Replica,
    Replica,
  ];
  await Promise.all([current(a), current(b)]);
  await a.drain("s1");
  await same(a, b);
  it.cut();
  await eventually("b is cut off", async () => b.intents.state !== "current");
  await a.undrain("s1");
  for (let i = 0; i < 20; i++) await a.drain("s2").then(() => a.undrain("s2"));
  await a.drain("s3");
  await it.compact();
  t.deepEqual(b.drained(), ["s1"], "it knows no better");
  it.heal();
  await current(b);
  t.deepEqual(b.drained(), ["s3"]);
  await b.drain("s4");
  await same(a, b);
  t.deepEqual(a.drained(), ["s3", "s4"]);
});

withEtcd("a compaction under a living watch, and a record that is deleted: nothing that was answered OK goes", async (t) => {
  const it = await etcd(t);
  const a = replica(t, { endpoints: [it.endpoint], prefix: "/test/" });
  await current(a);
  await a.drain("s1");
  await it.compact();
  await a.drain("s2");
  await it.delete("/test/");
  const stored = async (): Promise<Intent | undefined> => (await it.values("/test/intent/"))[0] as Intent | undefined;
  await eventually("the record is written again", async () => (await stored()) !== undefined);
  t.deepEqual(
    (await stored())?.holds.map((h) => h.address),
    ["s1", "s2"],
  );
  await a.drain("s3");
  t.deepEqual(
    (await stored())?.holds.map((h) => h.address),
    ["s1", "s2", "s3"],
  );
});

withEtcd("the history keeps the newest thousand", async (t) => {
  const it = await etcd(t);
  const store = etcdStore({ endpoints: [it.endpoint], prefix: "/test/" }, (w) => t.log(w));
  t.teardown(() => store.close());
  let mark: string | null = null;
  const BATCH = 90;
  let version = 0;
  while (version < HISTORY_LIMIT + 2 * BATCH) {
    const changes = Array.from({ length: BATCH }, (_, i) => ({
      ...stamp,
      version: version + i + 1,
      id: `${version + i}`,
      what: ["x"],
    }));
    version += BATCH;
    const intent: Intent = { pool: "web", version, managed: false, members: [], holds: [], override: null, policy: null };
    mark = await store.commit({ intent, mark, changes });
    t.truthy(mark);
  }
  const history = await store.history("web", 5000);
  t.deepEqual(
    [history.length, history[0]?.version, history.at(-1)?.version],
    [HISTORY_LIMIT, version, version - HISTORY_LIMIT + 1],
  );
});

withEtcd("one endpoint of three that answers suffices", async (t) => {
  const it = await etcd(t);
  const silent = await it.silent(t);
  const a = replica(t, { endpoints: ["127.0.0.1:1", silent, it.endpoint], prefix: "/test/" });
  await current(a);
  await a.drain("s1");
  t.deepEqual(a.drained(), ["s1"]);
  const before = a.states.length;
  await sleep(1500);
  await current(a);
  t.true(a.states.length - before <= 3, `those that are dead are not asked again and again: ${a.states.join(" ")}`);
});

withEtcd("user, password and certificates: with them it works, with wrong ones the reason is said", async (t) => {
  const it = await Etcd.start({ tls: true });
  t.teardown(() => it.stop());
  await it.enableLogin("marllb", "secret");
  const tls = it.tls as NonNullable<EtcdOptions["tls"]>;
  const prefix = "/test/";
  const a = replica(t, { endpoints: [it.endpoint], prefix, username: "marllb", password: "secret", tls });
  await current(a);
  await a.drain("s1");
  t.deepEqual(a.drained(), ["s1"]);
  const wrong = replica(t, { endpoints: [it.endpoint], prefix, username: "marllb", password: "guess", tls });
  await eventually("the login is refused", async () => /authentication failed|invalid user/i.test(wrong.intents.reason));
  const stranger = replica(t, { endpoints: [it.endpoint], prefix, username: "marllb", password: "secret", tls: { ca: tls.ca } });
  await eventually("without a certificate there is no connection", async () =>
    /^etcd: .*: no connection: .*client.s certificate \(failover\.store\.tls\)$/.test(stranger.intents.reason),
  );
  t.deepEqual([wrong.intents.state, stranger.intents.state], ["starting", "starting"]);
});
