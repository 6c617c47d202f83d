// SPDX-License-Identifier: Apache-2.0
// What is found of a pool by a name or a file, against what operators order and what data planes have.
import test from "ava";
import { FailoverCore, type FixedPool } from "../../core.js";
import { emptyIntent, type Intent } from "../../intent.js";
import { directiveFor } from "../../messages.js";
import * as operations from "../../operations.js";
import { agent } from "../agents.js";

const at = (now: number) => ({ now, unixMs: 1_000_000 + now });
const stamp = { by: "ann", reason: "test", at: 0 };
const found = (...ids: number[]) => ids.map((i) => ({ address: `10.0.0.${i}:80`, weight: 1, priority: 0 }));
const member = (i: number) => ({ address: `10.0.0.${i}:80`, weight: 1, drain: false });

function setup(over: Partial<FixedPool> = {}) {
  const said: { term: number; servers: string; pool: string; revision: number }[] = [];
  const core = new FailoverCore({
    rules: { minHealthy: 1, panicThreshold: 0.3, slowStartMs: 1000 },
    events: {
      order(a, view) {
        const d = directiveFor(a, view);
        said.push({
          term: Number(d.term),
          servers: (d.servers ?? []).map((s) => `${s.server_id}=${s.factor}`).join(" "),
          pool: d.pool
            ? `${d.pool.managed} ${(d.pool.servers ?? []).map((s) => s.address?.split(/[.:]/)[3]).join(" ")}`.trim()
            : "none",
          revision: Number(d.pool?.revision ?? 0),
        });
      },
      changed() {},
      forgotten() {},
      later() {},
    },
    configured: () => 1,
    heard: () => "UNKNOWN",
    hears: () => false,
    fixed: [{ name: "web", vipId: 1, servers: [], local: true, follows: true, closeDown: false, closeRemoved: false, ...over }],
  });
  const operate = (operation: operations.Operation, now: number): void => {
    const before = core.find(0, "web").intent;
    const { next } = operation(before);
    core.wanted({ ...next, version: before.version + 1 } as Intent, at(now));
  };
  const last = () => said.at(-1) as (typeof said)[number];
  return { core, said, operate, last };
}

test("data planes are told what is found, under a newer revision each time that it is another list", (t) => {
  const { core, said, last } = setup();
  core.list(agent("a", [7]), at(0));
  t.is(last().pool, "none", "while nothing is found, what the data plane has stands");
  core.found("web", found(1, 2), at(1));
  t.is(last().pool, "true 1 2");
  t.is(core.find(0, "web").source, "discovery");
  const { revision, term } = last();
  const n = said.length;
  core.found("web", found(1, 2), at(2));
  t.is(said.length, n, "the same list is no new order");
  core.found("web", found(1, 2, 3), at(3));
  t.is(last().pool, "true 1 2 3");
  t.true(last().revision > revision && last().term > term);
  core.found("web", found(3), at(4));
  t.is(last().pool, "true 3");
});

test("another weight is another list", (t) => {
  const { core, last } = setup();
  core.list(agent("a", []), at(0));
  core.found("web", found(1, 2), at(1));
  const { revision } = last();
  core.found("web", [...found(1), { address: "10.0.0.2:80", weight: 3, priority: 0 }], at(2));
  t.true(last().revision > revision);
});

test("an order that leaves the list as it is keeps its revision", (t) => {
  const { core, last } = setup();
  core.list(agent("a", [1, 2, 3]), at(0));
  core.found("web", found(1, 2, 3), at(1));
  const { revision } = last();
  core.health("web", "10.0.0.2:80", "DOWN", at(2));
  t.deepEqual([last().servers, last().revision], ["2=0", revision]);
});

test("what an operator orders of an address holds whatever is found", (t) => {
  const { core, operate, last } = setup();
  core.list(agent("a", [1, 2, 3]), at(0));
  core.found("web", found(1, 2), at(1));
  operate(operations.hold("drain", "10.0.0.2:80", null, stamp), 2);
  t.is(last().servers, "2=0");
  core.found("web", found(1), at(3));
  core.found("web", found(1, 2, 3), at(4));
  t.true(last().servers.includes("2=0"), "it left and came back");
});

test("a managed list wins over what is found until it is handed back", (t) => {
  const { core, operate, last } = setup();
  core.list(agent("a", [1, 2]), at(0));
  core.found("web", found(1, 2), at(1));
  const before = last().revision;
  operate(operations.apply([member(5)], 0, [], stamp), 2);
  t.is(last().pool, "true 5");
  const managed = last().revision;
  t.true(managed > before);
  core.found("web", found(1, 2, 3), at(3));
  t.is(last().pool, "true 5");
  t.is(core.find(0, "web").source, "operator");
  operate(operations.apply([], 0, [], stamp), 4);
  t.is(last().pool, "true 1 2 3", "what is found meanwhile");
  t.true(last().revision > managed);
});

test("a replica that was restarted, and finds nothing, leaves data planes the list that they have, whatever is ordered", (t) => {
  const { core, operate, last } = setup();
  core.list(agent("a", [1, 2], { managed: true }), at(0));
  t.is(last().pool, "none");
  operate(operations.hold("drain", "10.0.0.2:80", null, stamp), 2);
  t.deepEqual([last().pool, last().servers], ["none", "2=0"]);
});

test("a replica that another one gave way to says its own list anew", (t) => {
  const { core, last } = setup();
  const a = agent("a", [1, 2]);
  core.found("web", found(1, 2), at(0));
  core.list(a, at(1));
  core.seen(a, last().term + 40, "", 2);
  t.is(last().pool, "true 1 2");
  t.is(last().revision, last().term, "beyond that of the other replica, whose list may be another");
});

test("a list of a name that nobody follows any more is handed back", (t) => {
  const { core, last } = setup({ follows: false, servers: [{ address: "10.0.0.1:80", weight: 1 }] });
  core.list(agent("a", [1, 2], { managed: true, appliedTerm: 77 }), at(0));
  t.deepEqual([last().pool, last().revision], ["false", last().term]);
  const { revision } = last();
  core.list(agent("a", [1, 2], { generation: 2 }), at(1));
  t.is(last().revision, revision);
});

test("a data plane that is managed by its own configuration is left alone", (t) => {
  const { core, last } = setup({ follows: false, local: false });
  core.list(agent("a", [1, 2], { managed: true }), at(0));
  t.is(last().pool, "none");
});

test("a server that is found beside others starts slowly; those found at the start do not", (t) => {
  const { core, last } = setup();
  core.found("web", found(1, 2), at(0));
  core.list(agent("a", [1, 2]), at(1));
  t.is(last().servers, "");
  core.found("web", found(1, 2, 3), at(2));
  core.list(agent("a", [1, 2, 3], { generation: 2 }), at(3));
  t.is(last().servers, "3=0.1");
});

test("a server that is found by a replica that was just started joins those that data planes have", (t) => {
  const { core, last } = setup();
  core.found("web", found(1, 2, 3), at(0));
  core.list(agent("a", [1, 2]), at(1));
  core.list(agent("a", [1, 2, 3], { generation: 2 }), at(2));
  t.is(last().servers, "3=0.1");
});

test("what was found of a pool that is not configured concerns nobody", (t) => {
  const { core, said } = setup();
  core.found("dns", found(1), at(0));
  t.deepEqual(said, []);
  t.deepEqual(emptyIntent("web"), core.find(0, "web").intent);
});
