// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { emptyIntent, type Hold, type Intent } from "../intent.js";
import { type HealthFact, type Moment, type Observations, orderKey, orders, type PoolRules } from "../orders.js";

const rules: PoolRules = { minHealthy: 1, panicThreshold: 0.3, slowStartMs: 1000, closeDown: false };
const START: Moment = { now: 0, unixMs: 1_000_000 };
const later = (ms: number): Moment => ({ now: ms, unixMs: START.unixMs + ms });

const held = (i: number, over: Partial<Hold> = {}): Hold => ({
  address: `s${i}`,
  kind: "drain",
  deadline: null,
  close: false,
  by: "ann",
  reason: "",
  at: 0,
  ...over,
});
const intent = (holds: Hold[] = [], over: Partial<Intent> = {}): Intent => ({ ...emptyIntent("web"), holds, ...over });
const drained = (...servers: number[]): Intent => intent(servers.map((i) => held(i)));
const seen = (n: number, down: number[] = [], startedAt: Record<string, number> = {}): Observations => ({
  found: null,
  present: Array.from({ length: n }, (_, i) => ({ address: `s${i}`, weight: 1 })),
  health: (address): HealthFact => (down.includes(Number(address.slice(1))) ? "DOWN" : "UP"),
  startedAt: new Map(Object.entries(startedAt)),
});
const factors = (n: number, o: ReturnType<typeof orders>) =>
  Array.from({ length: n }, (_, i) => o.shares.get(`s${i}`)?.factor ?? 1);

const cases: { what: string; n: number; drain?: number[]; down: number[]; status: string; factors: number[] }[] = [
  { what: "all well", n: 3, down: [], status: "NORMAL", factors: [1, 1, 1] },
  { what: "a dead server is masked", n: 4, down: [1], status: "DEGRADED", factors: [1, 0, 1, 1] },
  {
    what: "a draining server takes no new flows and is no loss",
    n: 3,
    drain: [0],
    down: [],
    status: "NORMAL",
    factors: [0, 1, 1],
  },
  { what: "below the threshold nobody is masked", n: 4, down: [0, 1, 2], status: "PANIC", factors: [1, 1, 1, 1] },
  {
    what: "the threshold counts servers that may serve",
    n: 4,
    drain: [0, 1],
    down: [2],
    status: "DEGRADED",
    factors: [0, 0, 0, 1],
  },
  { what: "all dead: panic, drains stay", n: 3, drain: [0], down: [1, 2], status: "PANIC", factors: [0, 1, 1] },
  { what: "a dead server that drains stays out", n: 2, drain: [0], down: [0], status: "NORMAL", factors: [0, 1] },
  { what: "no servers", n: 0, down: [], status: "NORMAL", factors: [] },
];
for (const c of cases) {
  test(c.what, (t) => {
    const o = orders(drained(...(c.drain ?? [])), seen(c.n, c.down), rules, START);
    t.is(o.status, c.status as "NORMAL");
    t.deepEqual(factors(c.n, o), c.factors);
    t.is(o.fallback, c.status === "PANIC");
  });
}

test("fewer healthy servers than the least is panic", (t) => {
  const status = (n: number, down: number[]) => orders(intent(), seen(n, down), { ...rules, minHealthy: 9 }, START).status;
  t.is(status(10, [0]), "DEGRADED");
  t.is(status(10, [0, 1]), "PANIC");
  t.is(status(2, []), "NORMAL", "a pool that never had so many is not in panic for ever");
});

test("slow start rises by tenths and says when the next one is due", (t) => {
  const at = (ms: number) => orders(intent(), seen(2, [], { s1: 0 }), rules, later(ms));
  t.deepEqual(factors(2, at(0)), [1, 0.1]);
  t.is(at(0).nextAt, 100);
  t.deepEqual(factors(2, at(100)), [1, 0.2]);
  t.deepEqual(factors(2, at(850)), [1, 0.9]);
  t.is(at(850).nextAt, 900);
  t.deepEqual(factors(2, at(900)), [1, 1]);
  t.is(at(900).nextAt, null);
  t.deepEqual(factors(2, orders(intent(), seen(2, [], { s1: 0 }), { ...rules, slowStartMs: 0 }, START)), [1, 1], "off");
});

test("a managed pool's list is the operator's, whatever the data planes have", (t) => {
  const members = [
    { address: "s1", weight: 2 },
    { address: "s9", weight: 0 },
  ];
  const o = orders(intent([], { managed: true, members }), seen(3), rules, START);
  t.deepEqual(o.members, members);
  t.deepEqual([...o.shares], [["s9", { factor: 0, reason: "weight 0" }]]);
});

test("a server of weight 0 gets nothing and counts for nothing", (t) => {
  const members = [
    { address: "s0", weight: 1 },
    { address: "s1", weight: 0 },
  ];
  t.is(orders(intent([], { managed: true, members }), seen(2, [1]), rules, START).status, "NORMAL");
  t.is(orders(intent([], { managed: true, members }), seen(2, [0]), rules, START).status, "PANIC", "one of one is down");
});

test("maintenance wins over a drain and is no loss; its verdicts count for nothing", (t) => {
  const o = orders(intent([held(0), held(0, { kind: "maintenance" })]), seen(2, [0]), rules, START);
  t.deepEqual([o.status, o.shares.get("s0")], ["NORMAL", { factor: 0, reason: "maintenance" }]);
});

test("a drain's deadline is kept by the wall clock, and what is over it waits on", (t) => {
  const at = (ms: number) => orders(intent([held(0, { deadline: START.unixMs + 500 })]), seen(2), rules, later(ms));
  t.is(at(0).nextAt, 500);
  t.deepEqual(at(499).shares.get("s0"), { factor: 0, reason: "draining" });
  t.deepEqual([at(500).shares.get("s0"), at(500).nextAt], [{ factor: 0, reason: "draining, deadline over" }, null]);
});

test("what says the same has the same key; another version, share or load balancer has another", (t) => {
  const i = drained(0);
  const key = (x: Intent, down: number[], ...lbs: string[]) => orderKey(x, orders(x, seen(3, down), rules, START), lbs, "");
  t.is(key(i, [1], "a"), key(structuredClone(i), [1], "a"));
  const all = [key(i, [1], "a"), key(i, [2], "a"), key(i, [1], "b"), key({ ...i, version: 5 }, [1], "a")];
  t.is(new Set(all).size, 4);
});

test("a server that nobody has checked gets nothing while another is up, and is no loss", (t) => {
  const facts = (...all: HealthFact[]): Observations => ({
    ...seen(all.length),
    health: (a) => all[Number(a.slice(1))] as HealthFact,
  });
  const some = orders(intent(), facts("UP", "WAITING", "WAITING", "WAITING", "WAITING", "DOWN"), rules, START);
  t.deepEqual(factors(6, some), [1, 0, 0, 0, 0, 0]);
  t.is(some.status, "DEGRADED", "too few are up only of those that were checked");
  t.is(some.shares.get("s1")?.reason, "not checked yet");
  const none = orders(intent(), facts("WAITING", "WAITING", "UNKNOWN"), rules, START);
  t.deepEqual(factors(3, none), [1, 1, 1], "at a start of everything nobody is refused");
});

const PRIORITIES = [0, 0, 0, 0, 1, 1, 2];
const standing = (facts: Record<number, HealthFact>, held: number[] = []) => {
  const o = orders(
    drained(...held),
    {
      ...seen(0),
      found: PRIORITIES.map((priority, i) => ({ address: `s${i}`, weight: 1, priority })),
      health: (address) => facts[Number(address.slice(1))] ?? "UP",
    },
    rules,
    START,
  );
  return { ...o, serving: PRIORITIES.flatMap((_, i) => ((o.shares.get(`s${i}`)?.factor ?? 1) > 0 ? [i] : [])) };
};

test("servers of a higher priority number stand by", (t) => {
  const o = standing({});
  t.deepEqual([o.serving, o.status], [[0, 1, 2, 3], "NORMAL"]);
  t.is(o.shares.get("s4")?.reason, "stands by, priority 1");
});

test("they serve when too few of the lower number are up, and only they", (t) => {
  t.deepEqual(standing({ 0: "DOWN", 1: "DOWN" }).serving, [2, 3], "half of them is enough");
  const o = standing({ 0: "DOWN", 1: "DOWN", 2: "DOWN" });
  t.deepEqual([o.serving, o.status], [[4, 5], "DEGRADED"]);
  t.deepEqual(standing({ 0: "DOWN", 1: "DOWN", 2: "DOWN", 3: "DOWN", 4: "DOWN", 5: "DOWN" }).serving, [6]);
});

test("a priority whose servers are all drained or not yet checked is passed over", (t) => {
  t.deepEqual(standing({}, [0, 1, 2, 3]).serving, [4, 5]);
  t.deepEqual(standing({ 0: "WAITING", 1: "WAITING", 2: "WAITING", 3: "WAITING" }).serving, [4, 5]);
  const all = Object.fromEntries(PRIORITIES.map((_, i) => [i, "WAITING" as const]));
  t.deepEqual(standing(all).serving, [0, 1, 2, 3], "while nobody was checked the first ones serve");
});

test("when none is up anywhere the first priority is in panic, and the others stand by on", (t) => {
  const o = standing(Object.fromEntries(PRIORITIES.map((_, i) => [i, "DOWN" as const])));
  t.deepEqual([o.serving, o.status], [[0, 1, 2, 3], "PANIC"]);
});

test("flows of a drained server are closed at the deadline where that was ordered, and not before", (t) => {
  const at = START.unixMs + 500;
  const o = (close: boolean, now: number) => orders(intent([held(0, { deadline: at, close })]), seen(2), rules, later(now));
  t.is(o(true, 499).shares.get("s0")?.close, undefined);
  t.is(o(true, 499).nextAt, 500);
  t.deepEqual(o(true, 500).shares.get("s0"), { factor: 0, reason: "drained, its flows closed", close: true });
  t.deepEqual(o(false, 500).shares.get("s0"), { factor: 0, reason: "draining, deadline over" });
});

test("flows of a server that is down are closed where the VIP says so, but not in panic, when it gets new ones", (t) => {
  const closing = { ...rules, closeDown: true };
  t.is(orders(intent(), seen(4, [1]), closing, START).shares.get("s1")?.close, true);
  t.is(orders(intent(), seen(4, [1]), rules, START).shares.get("s1")?.close, undefined);
  const panic = orders(intent(), seen(4, [0, 1, 2]), closing, START);
  t.deepEqual([panic.status, panic.shares.get("s1")?.close], ["PANIC", undefined]);
});

test("a flow that nobody takes may try whom health or a priority masks, and never whom an order does", (t) => {
  const o = orders(drained(0, 1), seen(6, [1, 2]), rules, START);
  t.deepEqual(factors(6, o), [0, 0, 0, 1, 1, 1]);
  t.is(o.shares.get("s0")?.lastResort, undefined, "drained");
  t.is(o.shares.get("s1")?.lastResort, undefined, "drained, and down");
  t.true(o.shares.get("s2")?.lastResort);
  t.true(standing({}).shares.get("s4")?.lastResort);
  t.is(standing({}, [4]).shares.get("s4")?.lastResort, undefined);
  const waiting = { ...seen(2), health: (a: string): HealthFact => (a === "s0" ? "UP" : "WAITING") };
  t.is(orders(intent(), waiting, rules, START).shares.get("s1")?.lastResort, undefined, "its first check may find it unfit");
});
