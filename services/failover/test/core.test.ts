// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { AGENT_AWAY_MS, FailoverCore, type FixedPool, FORGET_MS, MAX_POOLS, UNSPOKEN_MS } from "../core.js";
import { emptyIntent, type Intent } from "../intent.js";
import { directiveFor } from "../messages.js";
import * as operations from "../operations.js";
import type { HealthFact } from "../orders.js";
import { firstTerm, versionOf } from "../terms.js";
import { agent } from "./agents.js";

const at = (now: number) => ({ now, unixMs: 1_000_000 + now });
const wanted = (i: number) => ({ address: `10.0.0.${i}:80`, weight: 1 });
const stamp = { by: "ann", reason: "test", at: 0 };

function setup(
  configured = 1,
  heard: (pool: string, address: string) => HealthFact = () => "UNKNOWN",
  hears = false,
  fixed: FixedPool[] = [
    { name: "configured", vipId: 9, servers: [wanted(9)], local: true, follows: false, closeDown: false, closeRemoved: false },
  ],
) {
  const orders: { to: string; term: number; servers: string; pool: string; revision: number }[] = [];
  const forgotten: string[] = [];
  const later: string[] = [];
  const core = new FailoverCore({
    rules: { minHealthy: 1, panicThreshold: 0.3, slowStartMs: 1000 },
    events: {
      order(agent, view) {
        const d = directiveFor(agent, view);
        orders.push({
          to: agent.instance,
          term: Number(d.term),
          servers: (d.servers ?? []).map((s) => `${s.server_id}=${s.factor}`).join(" "),
          pool: d.pool ? `${d.pool.managed} ${(d.pool.servers ?? []).map((s) => s.address).join(" ")}`.trim() : "",
          revision: Number(d.pool?.revision ?? 0),
        });
      },
      changed() {},
      forgotten: (name) => forgotten.push(name),
      later: (pool, version) => later.push(`${pool} ${version}`),
    },
    configured: () => configured,
    heard,
    hears: () => hears,
    fixed,
  });
  const operate = (operation: operations.Operation, now: number, pool = "web"): Intent => {
    const before = core.views().find((v) => v.name === pool)?.intent ?? emptyIntent(pool);
    const { next, what } = operation(before);
    const intent = what.length > 0 ? { ...next, version: before.version + 1 } : before;
    if (what.length > 0) core.wanted(intent, at(now));
    return intent;
  };
  const drain = (address: string, now: number, pool = "web") =>
    operate(operations.hold("drain", address, null, stamp), now, pool);
  return { core, orders, forgotten, later, operate, drain };
}

test("a dead server is masked at every load balancer, under a newer term, and its return is slow", (t) => {
  const { core, orders } = setup();
  core.list(agent("a", [1, 2, 3]), at(0));
  core.list(agent("b", [1, 2, 3]), at(0));
  orders.length = 0;
  core.health("web", "10.0.0.2:80", "DOWN", at(10));
  t.deepEqual(
    orders.map((o) => `${o.to} ${o.servers}`),
    ["a 2=0", "b 2=0"],
  );
  const term = orders[0]?.term ?? 0;
  core.health("web", "10.0.0.2:80", "DOWN", at(11));
  t.is(orders.length, 2, "the same verdict is no new order");
  core.health("web", "10.0.0.2:80", "UP", at(20));
  t.is(orders.at(-1)?.servers, "2=0.1");
  t.is(orders.at(-1)?.term, term + 1);
  for (let now = 21; now < 2000; now += 10) core.tick(at(now));
  t.is(orders.at(-1)?.servers, "");
});

test("a server that was down before its pool was known gets no flows from the first order on", (t) => {
  const { core, orders } = setup(1, (pool, address) => (pool === "web" && address === "10.0.0.2:80" ? "DOWN" : "UNKNOWN"));
  core.list(agent("a", [1, 2, 3]), at(0));
  t.is(orders[0]?.servers, "2=0");
});

test("a verdict counts in its own pool only", (t) => {
  const { core } = setup();
  core.list(agent("a", [1, 2, 3]), at(0));
  core.health("dns", "10.0.0.1:80", "DOWN", at(1));
  t.is(core.find(1, "").order.status, "NORMAL");
});

test("after a restart what a data plane has masked stands until health has spoken", (t) => {
  const { core, orders } = setup();
  core.list(agent("a", [1, 2, 3], { masked: ["10.0.0.1:80"] }), at(100));
  t.is(orders.at(-1)?.servers, "1=0");
  core.health("web", "10.0.0.1:80", "UNKNOWN", at(101));
  core.tick(at(5000));
  t.is(orders.at(-1)?.servers, "1=0");
  core.health("web", "10.0.0.1:80", "UP", at(5001));
  t.is(orders.at(-1)?.servers, "1=0.1");
});

test("a mask that was a drain is no verdict", (t) => {
  const { core, operate, drain, orders } = setup();
  drain("10.0.0.1:80", 0);
  core.list(agent("a", [1, 2], { masked: ["10.0.0.1:80"] }), at(1));
  operate(operations.release("drain", "10.0.0.1:80"), 2);
  t.is(core.healthOf("web", "10.0.0.1:80"), "UNKNOWN");
  t.is(orders.at(-1)?.servers, "1=0.1");
});

test("a VIP's number is that of the load balancers that are here; where it may mean two pools, the name is asked for", (t) => {
  const { core, drain } = setup();
  const codeOf = (vipId: number, name = "") => (t.throws(() => core.find(vipId, name)) as unknown as { code: string }).code;
  t.is(core.find(9, "").name, "configured");
  t.is(codeOf(1), "UNAVAILABLE", "no load balancer is connected here: another replica may know it");
  drain("10.0.0.1:80", 0, "old");
  core.list(agent("a", [1]), at(0));
  t.is(core.find(1, "").name, "web");
  t.is(core.find(0, "old").name, "old");
  core.list(agent("b", [1], { pool: "api" }), at(0));
  t.is(codeOf(1), "INVALID_ARGUMENT");
  t.is(core.find(1, "api").name, "api");
  t.is(codeOf(0), "INVALID_ARGUMENT");
  t.is(codeOf(7), "NOT_FOUND");
  t.is(codeOf(1, "nope"), "NOT_FOUND");
});

test("an order names a server that somebody has", (t) => {
  const { core, drain } = setup();
  const codeOf = (address: string) => {
    try {
      core.needMember(core.find(0, "web"), address, "address");
      return "fine";
    } catch (e) {
      return (e as { code: string }).code;
    }
  };
  drain("10.0.0.1:80", 0);
  t.is(codeOf("10.0.0.1:80"), "fine", "an order names it");
  t.is(codeOf("10.0.0.2:80"), "UNAVAILABLE", "no load balancer is here to ask");
  core.list(agent("a", [2]), at(0));
  t.is(codeOf("10.0.0.2:80"), "fine");
  t.is(codeOf("10.0.0.3:80"), "NOT_FOUND");
});

test("orders are by the server ids of each data plane", (t) => {
  const { core, orders } = setup();
  core.list(agent("a", [1, 2, 3]), at(0));
  const b = agent("b", [1, 2, 3]);
  b.servers = b.servers.map((s) => ({ ...s, id: s.id + 100 }));
  b.ids = new Map(b.servers.map((s) => [s.address, s.id]));
  core.list(b, at(0));
  core.health("web", "10.0.0.3:80", "DOWN", at(1));
  t.is(orders.filter((o) => o.to === "a").at(-1)?.servers, "3=0");
  t.is(orders.filter((o) => o.to === "b").at(-1)?.servers, "103=0");
});

test("terms: another replica's order of the same intent is followed, a later intent is asked for, and what is beyond reach is nobody's", (t) => {
  const { core, orders, later, drain } = setup();
  const a = agent("a", [1]);
  core.list(a, at(0));
  drain("10.0.0.1:80", 0);
  const term = core.find(1, "").term;
  t.is(versionOf(term), 1);
  core.seen(a, term + 40, "LADDER_MODEL", 1);
  t.is(orders.at(-1)?.term, term + 41);
  core.seen(a, firstTerm(7), "LADDER_MODEL", 2);
  t.deepEqual([later, core.find(1, "").term], [["web 7"], term + 41], "nothing is ordered of an intent that was overtaken");
  for (const n of [firstTerm(7_000_000), Number.MAX_SAFE_INTEGER, 2 ** 64]) core.seen(a, n, "LADDER_MODEL", 3);
  t.deepEqual([later.length, core.find(1, "").term], [1, term + 41]);
});

test("a server that joins starts slowly, those there at first do not, nor one whose agent was away", (t) => {
  const { core, orders } = setup();
  core.list(agent("a", [1, 2]), at(0));
  t.is(orders.at(-1)?.servers, "");
  core.list(agent("a", [1, 2, 3], { generation: 2 }), at(1000));
  t.is(orders.at(-1)?.servers, "3=0.1");
  core.tick(at(1000 + AGENT_AWAY_MS));
  core.list(agent("a", [1, 2, 3], { generation: 2, seenAt: 30_000 }), at(30_000));
  t.is(orders.at(-1)?.servers, "");
});

test("a server that joins gets nothing before its first good check, and starts slowly then", (t) => {
  const { core, orders } = setup(1, undefined, true);
  core.list(agent("a", [1, 2]), at(0));
  for (const id of [1, 2]) core.health("web", `10.0.0.${id}:80`, "UP", at(1));
  core.list(agent("a", [1, 2, 3], { generation: 2 }), at(1000));
  t.is(orders.at(-1)?.servers, "3=0", "before health has heard of it");
  core.health("web", "10.0.0.3:80", "WAITING", at(1010));
  core.tick(at(1000 + UNSPOKEN_MS));
  t.is(orders.at(-1)?.servers, "3=0");
  core.health("web", "10.0.0.3:80", "UP", at(5000));
  t.regex(orders.at(-1)?.servers ?? "", /^3=0\.1\d*$/);
  core.health("web", "10.0.0.3:80", "WAITING", at(5001));
  core.tick(at(7000));
  t.is(orders.at(-1)?.servers, "", "one that was checked does not wait again");
});

test("a server of which health says nothing is not waited for, nor one whose checks cannot be made", (t) => {
  const { core, orders } = setup(1, undefined, true);
  core.list(agent("a", [1, 2]), at(0));
  core.health("web", "10.0.0.1:80", "UP", at(1));
  core.list(agent("a", [1, 2, 3, 4], { generation: 2 }), at(1000));
  t.is(orders.at(-1)?.servers, "3=0 4=0");
  core.health("web", "10.0.0.4:80", "UNKNOWN", at(1001));
  t.regex(orders.at(-1)?.servers ?? "", /^3=0 4=0\.1\d*$/);
  core.tick(at(1000 + UNSPOKEN_MS));
  t.is(orders.at(-1)?.servers, "");
});

test("servers that are there at first wait only while another is up, and start at once", (t) => {
  const { core, orders } = setup(1, () => "WAITING", true);
  core.list(agent("a", [1, 2, 3]), at(0));
  t.is(orders.at(-1)?.servers, "");
  core.health("web", "10.0.0.1:80", "UP", at(10));
  t.is(orders.at(-1)?.servers, "2=0 3=0");
  core.health("web", "10.0.0.2:80", "UP", at(20));
  t.is(orders.at(-1)?.servers, "3=0");
});

test("drain masks and undrain comes back slowly", (t) => {
  const { core, orders, drain, operate } = setup();
  core.list(agent("a", [1, 2]), at(0));
  drain("10.0.0.1:80", 0);
  t.is(orders.at(-1)?.servers, "1=0");
  core.list(agent("a", [1, 2], { generation: 2 }), at(10));
  t.is(orders.at(-1)?.servers, "1=0", "a drain outlives a generation");
  operate(operations.release("drain", "10.0.0.1:80"), 1000);
  t.is(orders.at(-1)?.servers, "1=0.1");
});

test("a drain of a server that one of two load balancers has holds whoever is away, and when it leaves and comes back", (t) => {
  const { core, orders, drain } = setup();
  const b = agent("b", [1, 2, 3]);
  core.list(agent("a", [1, 2]), at(0));
  core.list(b, at(0));
  drain("10.0.0.3:80", 1);
  core.tick(at(AGENT_AWAY_MS + 1));
  core.list(agent("a", [1], { generation: 2, seenAt: 20_000 }), at(20_000));
  core.list(agent("b", [1, 2], { generation: 2, seenAt: 20_001 }), at(20_001));
  core.list(agent("b", [1, 2, 3], { generation: 3, seenAt: 20_002 }), at(20_002));
  t.is(orders.at(-1)?.servers, "3=0");
  const { core: restarted, orders: again } = setup();
  restarted.wanted(core.find(0, "web").intent, at(0));
  restarted.list(agent("a", [1, 2]), at(1));
  restarted.list(b, at(2));
  t.is(again.at(-1)?.servers, "3=0", "and over a restart, in any order of arrival");
});

test("a managed list goes out with its revision, and so does its end; without any order nothing is said of it", (t) => {
  const { core, operate } = setup();
  const a = agent("a", [1, 2]);
  core.list(a, at(0));
  const poolOf = () => directiveFor(a, core.find(1, "web")).pool;
  t.is(poolOf(), null);
  operate(operations.apply([{ address: "10.0.0.1:80", weight: 0, drain: true }], 0, [], stamp), 0);
  t.deepEqual(
    [poolOf()?.managed, poolOf()?.revision, poolOf()?.servers],
    [true, firstTerm(1), [{ address: "10.0.0.1:80", weight: 1e-6, drain: true }]],
    "a data plane takes no weight of 0; the mask is what keeps flows away",
  );
  core.list(agent("a", [1, 2, 3], { generation: 2 }), at(1));
  t.is(core.find(1, "web").order.members.length, 1, "what the data plane has does not change a managed pool");
  operate(operations.apply([], 0, [], stamp), 2);
  t.deepEqual([poolOf()?.managed, poolOf()?.revision, poolOf()?.servers], [false, firstTerm(2), []]);
  t.is(core.find(1, "web").order.members.length, 3);
});

test("an override and a policy go out, stay, and are cleared", (t) => {
  const { core, operate } = setup();
  const a = agent("a", [1, 2]);
  core.list(a, at(0));
  const sent = () => directiveFor(a, core.find(1, "web"));
  operate(operations.setOverride({ entries: [{ address: "10.0.0.2:80", weight: 5 }], mode: "MODE_ALIAS" }, [], stamp), 0);
  t.deepEqual(sent().override, { server_ids: [2], weights: [5], mode: "MODE_ALIAS", reason: "test" });
  operate(operations.setPolicy("uniform", stamp), 1);
  t.is(sent().policy, "uniform");
  const term = Number(sent().term);
  operate(operations.clearOverride, 2);
  t.is(sent().override, null);
  t.true(Number(sent().term) > term);
});

test("load balancers are counted, and an agent that is away no more", (t) => {
  const { core, orders } = setup();
  const a = agent("a", [1]);
  const b = agent("b", [1]);
  core.list(a, at(0));
  core.list(b, at(0));
  t.is(core.find(1, "").loadBalancers, 2);
  const numbers = () => [a, b].map((x) => directiveFor(x, core.find(1, "")).load_balancer);
  t.deepEqual(numbers(), [1, 2]);
  orders.length = 0;
  core.seen(a, 0, "", AGENT_AWAY_MS);
  core.tick(at(AGENT_AWAY_MS + 1));
  t.is(core.find(1, "").loadBalancers, 1);
  t.is(numbers()[0], 1);
  t.true(orders.some((o) => o.to === "a"));
});

test("a load balancer is told its number only while all are seen", (t) => {
  const { core } = setup(3);
  const a = agent("a", [1]);
  core.list(a, at(0));
  core.list(agent("c", [1]), at(0));
  t.is(directiveFor(a, core.find(1, "")).load_balancer, 0);
  core.list(agent("b", [1]), at(0));
  t.deepEqual([core.find(1, "").loadBalancers, directiveFor(a, core.find(1, "")).load_balancer], [3, 1]);
});

const web = { dpEpoch: 1n, birth: 1n, vipId: 1, name: "web" };

test("a pool goes with the last data plane that had its VIP; one whose agent is away has it for a while", (t) => {
  const { core, forgotten } = setup();
  core.list(agent("a", [1]), at(0));
  core.list(agent("b", [1]), at(0));
  core.tick(at(AGENT_AWAY_MS));
  t.is(core.find(1, "web").name, "web", "both are away, and nothing is forgotten");
  core.gone("a", [web], at(20_000));
  t.deepEqual(forgotten, [], "b may come back");
  core.gone("b", [web], at(20_000));
  t.deepEqual(forgotten, ["web"]);
  t.throws(() => core.find(0, "web"), { message: /no pool "web"/ });
  core.gone("b", [web], at(20_001));
  core.list(agent("c", [1]), at(30_000));
  core.tick(at(30_000 + FORGET_MS));
  t.deepEqual(forgotten, ["web", "web"], "one that stays away is gone");
});

test("a pool that was in panic when its VIP went has no state any more, and what was ordered of it is kept", (t) => {
  const { core, drain } = setup();
  core.list(agent("a", [1, 2, 3]), at(0));
  drain("10.0.0.1:80", 0);
  for (const i of [2, 3]) core.health("web", `10.0.0.${i}:80`, "DOWN", at(1));
  t.deepEqual(
    core.served().map((v) => v.order.status),
    ["PANIC"],
  );
  core.gone("a", [web], at(2));
  t.deepEqual(core.served(), []);
  t.deepEqual([core.find(0, "web").order.status, core.find(0, "web").intent.holds.length], ["NORMAL", 1]);
});

test("a pool of the configuration stays", (t) => {
  const { core, forgotten } = setup();
  core.list(agent("a", [1], { pool: "configured" }), at(0));
  core.gone("a", [{ ...web, name: "configured" }], at(0));
  t.deepEqual(forgotten, []);
  t.is(core.find(0, "configured").name, "configured");
});

test("a pool of the configuration has its servers without any data plane; the data planes' own do not join it slowly", (t) => {
  const { core, orders } = setup();
  const members = () => core.find(0, "configured").order.members.map((m) => m.address);
  t.deepEqual(members(), ["10.0.0.9:80"]);
  core.list(agent("a", [1, 2], { pool: "configured" }), at(0));
  t.deepEqual([members(), orders.at(-1)?.servers], [["10.0.0.1:80", "10.0.0.2:80"], ""]);
});

test("a new VIP under a freed id has a pool of its own, and takes the old one's agent away", (t) => {
  const { core, orders, drain, forgotten } = setup();
  core.list(agent("a", [1]), at(0));
  drain("10.0.0.1:80", 0);
  core.list(agent("a", [2], { pool: "api", birth: 2n }), at(10));
  t.is(orders.at(-1)?.servers, "");
  t.deepEqual([core.agentsOf("web").length, core.agentsOf("api").length, core.find(1, "").name], [0, 1, "api"]);
  core.gone("a", [web], at(20));
  t.deepEqual(forgotten, []);
  t.is(core.find(1, "").name, "api", "the new one under the same id is not meant");
});

test("names from outside are bounded in number", (t) => {
  const { core } = setup();
  for (let i = 0; i < MAX_POOLS - 1; i++) core.list(agent("a", [1], { vipId: i + 1, pool: `p${i}`, birth: BigInt(i) }), at(0));
  t.throws(() => core.list(agent("a", [1], { vipId: 9999, pool: "more", birth: 9999n }), at(0)), {
    message: /pools are known already/,
  });
  t.notThrows(() => core.list(agent("b", [1], { pool: "p7" }), at(0)));
});

test("flows of a server that left are closed where the VIP says so", (t) => {
  const fixed = (closeRemoved: boolean): FixedPool[] => [
    { name: "web", vipId: 1, servers: [], local: true, follows: false, closeDown: false, closeRemoved },
  ];
  for (const close of [true, false]) {
    const { core } = setup(1, undefined, false, fixed(close));
    const a = agent("a", [1, 2], { leaving: [3] });
    core.list(a, at(0));
    const said = directiveFor(a, core.find(0, "web")).servers ?? [];
    t.deepEqual(said, close ? [{ server_id: 3, factor: 0, reason: "removed", close: true }] : []);
  }
});

test("servers that join data planes wait where health is heard; an order names the list that it was made of", (t) => {
  for (const hears of [true, false]) {
    const { core } = setup(1, undefined, hears);
    const a = agent("a", [1, 2], { generation: 5 });
    core.list(a, at(0));
    t.like(directiveFor(a, core.find(0, "web")), { generation: 5, newcomers_wait: hears });
  }
});

test("verdicts on a large pool that come in a crowd are judged together, the first at once and the last by the next tick", (t) => {
  const servers = Array.from({ length: 1000 }, (_, i) => ({ address: `10.0.${i >> 8}.${i & 255}:80`, weight: 1 }));
  const pool = { name: "large", vipId: 9, servers, local: true, follows: false, closeDown: false, closeRemoved: false };
  const { core } = setup(1, undefined, false, [pool]);
  const terms = new Set<number>();
  const view = () => core.find(0, "large");
  for (const [i, s] of servers.slice(0, 400).entries()) {
    core.health("large", s.address, "DOWN", at(1000 + i * 0.01));
    terms.add(view().term);
  }
  t.is(view().order.shares.get("10.0.0.0:80")?.factor, 0);
  t.true(terms.size <= 2, `${terms.size} orders`);
  core.tick(at(1100));
  t.is([...view().order.shares.values()].filter((s) => s.factor === 0).length, 400);
});
