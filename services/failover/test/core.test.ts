// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { AGENT_GONE_MS, FailoverCore, TERM_REACH } from "../core.js";
import { directiveFor } from "../messages.js";
import type { HealthFact, PoolState } from "../pool.js";
import { agent } from "./agents.js";

function setup(configured = 1, heard: (pool: string, address: string) => HealthFact = () => "UNKNOWN") {
  const orders: { to: string; term: number; servers: string }[] = [];
  const saved: PoolState[] = [];
  const forgotten: string[] = [];
  const core = new FailoverCore(
    { minHealthy: 1, panicThreshold: 0.3, slowStartMs: 1000 },
    {
      order(agent, view) {
        const d = directiveFor(agent, view);
        orders.push({
          to: agent.instance,
          term: Number(d.term),
          servers: (d.servers ?? []).map((s) => `${s.server_id}=${s.factor}`).join(" "),
        });
      },
      changed() {},
      forgotten: (name) => forgotten.push(name),
      save: (p) => saved.push(p),
    },
    () => configured,
    (pool) => pool === "configured",
    heard,
  );
  return { core, orders, saved, forgotten };
}
test("a dead server is masked at every load balancer, under a newer term, and its return is slow", (t) => {
  const { core, orders } = setup();
  core.list(agent("a", [1, 2, 3]), 0);
  core.list(agent("b", [1, 2, 3]), 0);
  orders.length = 0;
  core.health("web", "10.0.0.2:80", "DOWN", 10);
  t.deepEqual(
    orders.map((o) => `${o.to} ${o.servers}`),
    ["a 2=0", "b 2=0"],
  );
  const term = orders[0]?.term ?? 0;
  core.health("web", "10.0.0.2:80", "DOWN", 11);
  t.is(orders.length, 2, "the same verdict is no new order");
  core.health("web", "10.0.0.2:80", "UP", 20);
  t.is(orders.at(-1)?.servers, "2=0.1");
  t.is(orders.at(-1)?.term, term + 1);
  for (let now = 21; now < 2000; now += 10) core.tick(now);
  t.is(orders.at(-1)?.servers, "");
});

test("a VIP's number is that of the load balancers that are here; where it may mean two pools, the name is asked for", (t) => {
  const { core } = setup();
  const stale: PoolState = {
    name: "old",
    vipId: 1,
    managed: false,
    revision: 0,
    term: 1,
    members: [],
    override: null,
    down: [],
    holders: [],
  };
  const codeOf = (vipId: number, name = "") => (t.throws(() => core.find(vipId, name)) as unknown as { code: string }).code;
  core.restore(stale, 0);
  t.is(core.find(1, "").pool.name, "old");
  core.list(agent("a", [1]), 0);
  t.is(core.find(1, "").pool.name, "web", "the store's pool had the number before");
  t.is(core.find(1, "old").pool.name, "old");
  core.list(agent("b", [1], { pool: "api" }), 0);
  t.is(codeOf(1), "INVALID_ARGUMENT");
  t.is(core.find(1, "api").pool.name, "api");
  t.is(codeOf(0), "INVALID_ARGUMENT");
  t.is(codeOf(9), "NOT_FOUND");
  t.is(codeOf(1, "nope"), "NOT_FOUND");
});

test("orders are by the server ids of each data plane", (t) => {
  const { core, orders } = setup();
  core.list(agent("a", [1, 2, 3]), 0);
  const b = agent("b", [1, 2, 3]);
  b.servers = b.servers.map((s) => ({ ...s, id: s.id + 100 }));
  b.ids = new Map(b.servers.map((s) => [s.address, s.id]));
  core.list(b, 0);
  core.health("web", "10.0.0.3:80", "DOWN", 1);
  t.is(orders.filter((o) => o.to === "a").at(-1)?.servers, "3=0");
  t.is(orders.filter((o) => o.to === "b").at(-1)?.servers, "103=0");
});

test("after a restart masks stand until health has spoken", (t) => {
  const before = setup();
  before.core.list(agent("a", [1, 2, 3]), 0);
  before.core.health("web", "10.0.0.1:80", "DOWN", 1);
  const { core, orders } = setup();
  core.restore(before.saved.at(-1) as PoolState, 100);
  core.list(agent("a", [1, 2, 3]), 100);
  t.is(orders.at(-1)?.servers, "1=0");
  core.health("web", "10.0.0.1:80", "UNKNOWN", 101);
  core.tick(5000);
  t.is(orders.at(-1)?.servers, "1=0");
  t.true((orders.at(-1)?.term ?? 0) > (before.orders.at(-1)?.term ?? 0));
});

test("an agent that obeys a newer term than the store's moves us past it", (t) => {
  const { core, orders } = setup();
  const a = agent("a", [1]);
  core.list(a, 0);
  core.seen(a, 41, "LADDER_MODEL", 1);
  t.is(orders.at(-1)?.term, 42);
  for (const term of [43 + TERM_REACH, Number.MAX_SAFE_INTEGER, 2 ** 64]) core.seen(a, term, "LADDER_MODEL", 2);
  t.is(orders.at(-1)?.term, 42, "beyond reach it is no term of ours");
});

test("a server that joins starts slowly, those there at first do not", (t) => {
  const { core, orders } = setup();
  core.list(agent("a", [1, 2]), 0);
  t.is(orders.at(-1)?.servers, "");
  core.list(agent("a", [1, 2, 3], { generation: 2 }), 1000);
  t.is(orders.at(-1)?.servers, "3=0.1");
});

test("drain masks and undrain comes back slowly; an address not in the pool is an error", (t) => {
  const { core, orders } = setup();
  core.list(agent("a", [1, 2]), 0);
  const view = core.find(1, "");
  core.drain(view, "10.0.0.1:80", true, 0);
  t.is(orders.at(-1)?.servers, "1=0");
  core.list(agent("a", [1, 2], { generation: 2 }), 10);
  t.is(orders.at(-1)?.servers, "1=0", "a drain outlives a generation");
  core.drain(view, "10.0.0.1:80", false, 1000);
  t.is(orders.at(-1)?.servers, "1=0.1");
  t.throws(() => core.drain(view, "10.0.0.9:80", true, 0), { message: /10\.0\.0\.9:80 is not in pool web/ });
});

test("ApplyPool makes a pool managed, checks the revision, and an empty list hands it back", (t) => {
  const { core } = setup();
  const a = agent("a", [1, 2]);
  core.list(a, 0);
  const view = core.find(1, "web");
  const wanted = [{ address: "10.0.0.1:80", weight: 2, drain: false }];
  t.deepEqual(core.apply(view, wanted, 0, true, 0), ["local -> managed", "weight of 10.0.0.1:80: 1 -> 2", "remove 10.0.0.2:80"]);
  t.false(view.pool.managed, "a dry run changes nothing");
  core.apply(view, wanted, 0, false, 0);
  t.is(directiveFor(a, view).pool?.servers?.length, 1);
  t.throws(() => core.apply(view, wanted, 99, false, 0), { message: /expected the current one, 1, found 99/ });
  core.list(agent("a", [1, 2, 3], { generation: 2 }), 1);
  t.is(view.pool.members.length, 1, "what the data plane has does not change a managed pool");
  core.apply(view, [], 1, false, 2);
  t.false(view.pool.managed);
  t.is(view.pool.members.length, 3);
  t.is(directiveFor(a, view).pool, null);
});

test("an override goes out by id, stays, and is cleared", (t) => {
  const { core } = setup();
  const a = agent("a", [1, 2]);
  core.list(a, 0);
  const view = core.find(1, "");
  const override = { entries: [{ address: "10.0.0.2:80", weight: 5 }], mode: "MODE_ALIAS", reason: "test" };
  const term = core.setOverride(view, override, 0);
  t.deepEqual(directiveFor(a, view).override, { server_ids: [2], weights: [5], mode: "MODE_ALIAS", reason: "test" });
  t.is(core.setOverride(view, override, 1), term, "the same again is no new term");
  t.true(core.setOverride(view, null, 2) > term);
  t.is(directiveFor(a, view).override, null);
  core.setOverride(view, { ...override, entries: [{ address: "10.0.0.2:80", weight: 0 }] }, 2);
  t.deepEqual(directiveFor(a, view).override?.weights, [0], "none for one of several");
  const none = view.pool.members.map((m) => ({ address: m.address, weight: 0 }));
  t.throws(() => core.setOverride(view, { ...override, entries: none }, 2), { message: /above 0 for some server/ });
  t.throws(() => core.setOverride(view, { ...override, entries: [{ address: "10.0.0.7:80", weight: 1 }] }, 3), {
    message: /not in pool/,
  });
});

test("load balancers are counted, and an agent that is gone no more", (t) => {
  const { core, orders } = setup();
  const a = agent("a", [1]);
  const b = agent("b", [1]);
  core.list(a, 0);
  core.list(b, 0);
  t.is(core.find(1, "").loadBalancers, 2);
  const numbers = () => [a, b].map((x) => directiveFor(x, core.find(1, "")).load_balancer);
  t.deepEqual(numbers(), [1, 2]);
  orders.length = 0;
  core.seen(a, 0, "", AGENT_GONE_MS);
  core.tick(AGENT_GONE_MS + 1);
  t.is(core.find(1, "").loadBalancers, 1);
  t.is(numbers()[0], 1);
  t.deepEqual(
    orders.map((o) => o.to),
    ["a"],
  );
});

test("another replica's newer state is taken, with all masks of both", (t) => {
  const { core, saved } = setup();
  core.list(agent("a", [1, 2, 3, 4]), 0);
  core.health("web", "10.0.0.1:80", "DOWN", 0);
  const theirs: PoolState = { ...(saved.at(-1) as PoolState), term: 50, down: ["10.0.0.2:80"] };
  core.adopt(theirs, 1);
  const view = core.find(1, "");
  t.true(view.pool.term > 50);
  t.is(view.order.shares.get("10.0.0.1:80")?.factor, 0);
  t.is(view.order.shares.get("10.0.0.2:80")?.factor, 0);
  const term = view.pool.term;
  core.adopt({ ...theirs, term: 3 }, 2);
  t.is(view.pool.term, term, "an older one is not");
});

test("a server that was down before its pool was known gets no flows from the first order on", (t) => {
  const { core, orders } = setup(1, (pool, address) => (pool === "web" && address === "10.0.0.2:80" ? "DOWN" : "UNKNOWN"));
  core.list(agent("a", [1, 2, 3]), 0);
  t.is(orders[0]?.servers, "2=0");
});

test("a verdict counts in its own pool only", (t) => {
  const { core } = setup();
  core.list(agent("a", [1, 2, 3]), 0);
  core.health("dns", "10.0.0.1:80", "DOWN", 1);
  t.is(core.find(1, "").order.status, "NORMAL");
});

test("a load balancer is told its number only while all are seen", (t) => {
  const { core } = setup(3);
  const a = agent("a", [1]);
  core.list(a, 0);
  core.list(agent("c", [1]), 0);
  t.is(directiveFor(a, core.find(1, "")).load_balancer, 0);
  core.list(agent("b", [1]), 0);
  t.deepEqual([core.find(1, "").loadBalancers, directiveFor(a, core.find(1, "")).load_balancer], [3, 1]);
});

const web = { dpEpoch: 1n, birth: 1n, vipId: 1, name: "web" };

test("a pool goes with the last data plane that had its VIP; one whose agent is away still has it", (t) => {
  const { core, forgotten } = setup();
  core.list(agent("a", [1]), 0);
  core.list(agent("b", [1]), 0);
  core.tick(AGENT_GONE_MS);
  t.is(core.agentsOf("web").length, 0, "both are away");
  t.is(core.find(1, "web").pool.name, "web", "and forget nothing");
  core.gone("a", [web], 20_000);
  t.deepEqual(forgotten, [], "b may come back");
  core.gone("b", [web], 20_000);
  t.deepEqual(forgotten, ["web"]);
  t.throws(() => core.find(0, "web"), { message: /no pool "web"/ });
  core.gone("b", [web], 20_001);
  t.is(forgotten.length, 1);
});

test("what a restart restored goes too, for it is kept who had the VIP", (t) => {
  const { core, saved } = setup();
  core.list(agent("a", [1]), 0);
  const after = setup();
  after.core.restore(saved.at(-1) as PoolState, 0);
  after.core.gone("c", [web], 0);
  t.deepEqual(after.forgotten, [], "c never had it");
  after.core.gone("a", [web], 0);
  t.deepEqual(after.forgotten, ["web"]);
});

test("a pool that the configuration itself manages stays", (t) => {
  const { core, forgotten } = setup();
  core.list(agent("a", [1], { pool: "configured" }), 0);
  core.gone("a", [{ ...web, name: "configured" }], 0);
  t.deepEqual(forgotten, []);
  t.is(core.find(0, "configured").pool.name, "configured");
});

test("a new VIP under a freed id has a pool of its own, and takes the old one's agent away", (t) => {
  const { core, orders } = setup();
  core.list(agent("a", [1]), 0);
  core.drain(core.find(1, ""), "10.0.0.1:80", true, 0);
  core.list(agent("a", [2], { pool: "api", birth: 2n }), 10);
  t.is(orders.at(-1)?.servers, "");
  t.deepEqual([core.agentsOf("web").length, core.agentsOf("api").length, core.find(1, "").pool.name], [0, 1, "api"]);
  core.gone("a", [web], 20);
  t.throws(() => core.find(0, "web"));
  t.is(core.find(1, "").pool.name, "api", "the new one under the same id is not meant");
});

test("another replica's removal is followed, unless an agent here has the VIP", (t) => {
  const { core, saved } = setup();
  core.list(agent("a", [1]), 0);
  saved.length = 0;
  core.removed("web");
  t.is(saved[0]?.name, "web", "it is stored again");
  const after = setup();
  after.core.restore(saved[0] as PoolState, 0);
  after.core.removed("web");
  t.deepEqual(after.core.views(), []);
});
