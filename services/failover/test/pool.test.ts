// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { changes, evaluate, learnHealth, type Member, type MemberFacts, type PoolRules } from "../pool.js";

const rules: PoolRules = { minHealthy: 1, panicThreshold: 0.3, slowStartMs: 1000 };
const members = (n: number, drain: number[] = []): Member[] =>
  Array.from({ length: n }, (_, i) => ({ address: `s${i}`, weight: 1, drain: drain.includes(i) }));
const facts = (down: number[], startedAt: Record<number, number> = {}): Map<string, MemberFacts> =>
  new Map([
    ...down.map((i) => [`s${i}`, { health: "DOWN", startedAt: null }] as [string, MemberFacts]),
    ...Object.entries(startedAt).map(([i, at]) => [`s${i}`, { health: "UP", startedAt: at }] as [string, MemberFacts]),
  ]);
const factors = (n: number, o: ReturnType<typeof evaluate>) =>
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
    const o = evaluate({ members: members(c.n, c.drain) }, facts(c.down), rules, 0);
    t.is(o.status, c.status as "NORMAL");
    t.deepEqual(factors(c.n, o), c.factors);
    t.is(o.fallback, c.status === "PANIC");
  });
}

test("fewer healthy servers than the least is panic", (t) => {
  t.is(evaluate({ members: members(10) }, facts([0]), { ...rules, minHealthy: 9 }, 0).status, "DEGRADED");
  t.is(evaluate({ members: members(10) }, facts([0, 1]), { ...rules, minHealthy: 9 }, 0).status, "PANIC");
  // a pool that never had so many is not in panic for ever
  t.is(evaluate({ members: members(2) }, facts([]), { ...rules, minHealthy: 9 }, 0).status, "NORMAL");
});

test("slow start rises by tenths and says when the next one is due", (t) => {
  const at = (now: number) => evaluate({ members: members(2) }, facts([], { 1: 0 }), rules, now);
  t.deepEqual(factors(2, at(0)), [1, 0.1]);
  t.is(at(0).nextAt, 100);
  t.deepEqual(factors(2, at(100)), [1, 0.2]);
  t.deepEqual(factors(2, at(850)), [1, 0.9]);
  t.is(at(850).nextAt, 900);
  t.deepEqual(factors(2, at(900)), [1, 1]);
  t.is(at(900).nextAt, null);
});

test("slow start off", (t) => {
  t.deepEqual(factors(2, evaluate({ members: members(2) }, facts([], { 1: 0 }), { ...rules, slowStartMs: 0 }, 0)), [1, 1]);
});

test("health: UNKNOWN teaches nothing, coming back starts slowly, a first UP does not", (t) => {
  const first = learnHealth(undefined, "UP", 5);
  t.deepEqual(first, { health: "UP", startedAt: null });
  t.is(learnHealth(first, "UNKNOWN", 6), first);
  const down = learnHealth(first, "DOWN", 7);
  t.is(learnHealth(down, "UNKNOWN", 8), down);
  t.deepEqual(learnHealth(down, "UP", 9), { health: "UP", startedAt: 9 });
});

test("changes in words", (t) => {
  const before = [
    { address: "a", weight: 1, drain: false },
    { address: "b", weight: 1, drain: false },
  ];
  const after = [
    { address: "b", weight: 2, drain: true },
    { address: "c", weight: 1, drain: false },
  ];
  t.deepEqual(changes(before, after), ["weight of b: 1 -> 2", "drain b", "add c weight 1", "remove a"]);
  t.deepEqual(changes(before, before), []);
});
