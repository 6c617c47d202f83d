// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { fakeFrame } from "../../../testbed/fake-frame.js";
import type { HealthLevel } from "../../common/config/health-schema.js";
import { ServerFlag } from "../../common/vocabulary.js";
import { type Change, FORGET_MS, HealthRegistry, SILENCE_MS } from "../registry.js";
import { plan } from "./plans.js";

const A = "10.0.0.1:80";
const B = "10.0.0.2:80";
const down = { ok: false, reason: "tcp: connection refused", rttMs: 0 };
const up = { ok: true, reason: "tcp: connected", rttMs: 1 };

/** `level` of a VIP's servers, by the VIP's name. */
function setup(level: (vip: string) => HealthLevel = () => ({ rise: 1, fall: 1 })) {
  const changes: Change[] = [];
  const calls: [servers: number, joined: boolean][] = [];
  const checks: string[] = [];
  const keys = new Map<string, string>();
  const capped: boolean[] = [];
  const registry = new HealthRegistry((vip, server) => plan(server, level(vip.name), vip.protocol), {
    changed(c, joined) {
      changes.push(...c);
      calls.push([c.length, joined]);
    },
    check(c, needed) {
      checks.push(`${needed ? "+" : "-"}${c.kind} ${c.address}`);
      keys.set(`${c.kind} ${c.address}`, c.key);
    },
    ejected: (c) => capped.push(c),
  });
  const checked = (address: string, result: typeof down, now: number, kind = "tcp"): void =>
    registry.checked(keys.get(`${kind} ${address}`) as string, result, now);
  const stateOf = (id: number): string | undefined => [...registry.all()].find((c) => c.target.serverId === id)?.verdict.state;
  return { registry, changes, calls, checks, checked, stateOf, capped };
}
const two = [
  { id: 1, address: A },
  { id: 2, address: B },
];

test("servers of a frame are checked until they leave it", (t) => {
  const { registry, checks } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.frame("a", fakeFrame(two), 100);
  t.deepEqual(checks, [`+tcp ${A}`, `+tcp ${B}`]);
  registry.frame("a", fakeFrame(two.slice(0, 1), { generation: 2 }), 200);
  t.deepEqual(checks.slice(2), [`-tcp ${B}`]);
});

test("a new list is told of at once, however many servers it has", (t) => {
  const { registry, calls, checked, changes } = setup();
  registry.frame("a", fakeFrame(two), 0);
  t.true(changes.every((c) => c.verdict.waiting));
  checked(A, up, 1);
  t.deepEqual(calls, [
    [2, true],
    [1, false],
  ]);
  t.false(changes[2]?.verdict.waiting);
});

test("one address under two load balancers is checked once, its verdict goes to both", (t) => {
  const { registry, changes, checks, checked } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.frame("b", fakeFrame([{ id: 9, address: A }]), 0);
  t.is(checks.length, 2);
  changes.length = 0;
  checked(A, down, 1);
  t.deepEqual(
    changes.map((c) => `${c.target.instance}/${c.target.serverId} ${c.verdict.state}`),
    ["a/1 DOWN", "b/9 DOWN"],
  );
  registry.frame("b", fakeFrame([], { generation: 2 }), 2);
  t.is(checks.length, 2, "the other still uses it");
});

test("two VIPs that check one server differently have two verdicts, and share the check that they have in common", (t) => {
  const tcp = { kind: "tcp" };
  const { registry, checks, checked, stateOf } = setup((vip) =>
    vip === "web" ? { fall: 1, checks: [tcp] } : { fall: 1, checks: [tcp, { kind: "http", port: 8081 }] },
  );
  registry.frame("a", fakeFrame(two.slice(0, 1)), 0);
  registry.frame("a", fakeFrame([{ id: 5, address: A }], { vipId: 2, birth: 2n, name: "api" }), 0);
  t.deepEqual(checks, [`+tcp ${A}`, "+http 10.0.0.1:8081"]);
  checked(A, up, 1);
  t.deepEqual([stateOf(1), stateOf(5)], ["UP", "UNKNOWN"]);
  checked("10.0.0.1:8081", down, 2, "http");
  t.deepEqual([stateOf(1), stateOf(5)], ["UP", "DOWN"]);
});

test("other plans: checks change, verdicts stay until the new ones say otherwise", (t) => {
  let level: HealthLevel = { fall: 1 };
  const { registry, checks, checked, stateOf } = setup(() => level);
  registry.frame("a", fakeFrame(two), 0);
  checked(A, up, 1);
  checked(B, down, 1);
  level = { fall: 1, kind: "http" };
  registry.replan(2);
  t.deepEqual(checks.slice(2), [`+http ${A}`, `+http ${B}`, `-tcp ${A}`, `-tcp ${B}`]);
  t.deepEqual([stateOf(1), stateOf(2)], ["UP", "DOWN"]);
  level = { kind: "none" };
  registry.replan(3);
  t.deepEqual([stateOf(1), stateOf(2)], ["UP", "UP"], "nothing is checked: up, and whoever heard DOWN hears of it");
});

test("a load balancer's demand counts for its VIP, before and after its first frame", (t) => {
  const demanded: (string | undefined)[] = [];
  const registry = new HealthRegistry(
    (vip, server) => {
      demanded.push(vip.demand?.key);
      return plan(server, vip.demand?.level);
    },
    { changed() {}, check() {} },
  );
  const demand = (key: string, level: HealthLevel) => ({ key, level, sends: "off" as const, servers: new Map() });
  registry.demand("a", [{ dpEpoch: 1n, birth: 1n, demand: demand("one", { kind: "none" }) }], 0);
  registry.frame("a", fakeFrame(two), 1);
  registry.demand("a", [{ dpEpoch: 1n, birth: 1n, demand: demand("one", { kind: "none" }) }], 2);
  registry.demand("a", [{ dpEpoch: 1n, birth: 1n, demand: demand("two", {}) }], 3);
  t.deepEqual(demanded, ["one", "one", "two", "two"]);
});

test("counts of two frames are evidence, the first frame's alone are not", (t) => {
  const { registry, changes, checked } = setup();
  registry.frame("a", fakeFrame([{ id: 1, address: A, unanswered: 50 }]), 0);
  checked(A, up, 1);
  changes.length = 0;
  registry.frame("a", fakeFrame([{ id: 1, address: A, unanswered: 52 }]), 100);
  t.is(changes.length, 0);
  registry.frame("a", fakeFrame([{ id: 1, address: A, unanswered: 53 }]), 200);
  t.is(changes[0]?.verdict.state, "DOWN");
});

test("counts follow a server over changes of the list", (t) => {
  const { registry, stateOf } = setup();
  registry.frame(
    "a",
    fakeFrame([
      { id: 1, address: A, refusals: 7 },
      { id: 2, address: B },
    ]),
    0,
  );
  registry.frame(
    "a",
    fakeFrame(
      [
        { id: 3, address: "10.0.0.3:80", refusals: 9 },
        { id: 1, address: A, refusals: 9 },
      ],
      { generation: 2 },
    ),
    1,
  );
  t.not(stateOf(1), "DOWN");
  t.not(stateOf(3), "DOWN");
  registry.frame(
    "a",
    fakeFrame(
      [
        { id: 3, address: "10.0.0.3:80", refusals: 9 },
        { id: 1, address: A, refusals: 10 },
      ],
      { generation: 2 },
    ),
    2,
  );
  t.is(stateOf(1), "DOWN");
});

test("good checks do not lift what flows said before its hold", (t) => {
  const { registry, checked, stateOf } = setup(() => ({ rise: 1, fall: 1, passive_hold_ms: 1000 }));
  registry.frame("a", fakeFrame(two), 0);
  for (const a of [A, B]) checked(a, up, 1);
  registry.frame("a", fakeFrame([{ id: 1, address: A, refusals: 3 }, ...two.slice(1)]), 100);
  t.is(stateOf(1), "DOWN");
  checked(A, up, 500);
  registry.tick(1099);
  t.is(stateOf(1), "DOWN");
  registry.tick(1100);
  t.is(stateOf(1), "UP");
});

test("flows that end without a byte put out a server whose peers serve", (t) => {
  const { registry, stateOf } = setup();
  for (let i = 0; i <= 10; i++) {
    registry.frame(
      "a",
      fakeFrame([
        { id: 1, address: A, empty_ends: i },
        { id: 2, address: B, completions: 3 * i, answers: 3 * i },
      ]),
      i * 100,
    );
  }
  t.is(stateOf(1), "DOWN");
  t.not(stateOf(2), "DOWN");
});

test("flows alone put out half of a VIP's servers at most, one always", (t) => {
  const { registry, stateOf, capped } = setup();
  const frame = (refusals: number) =>
    fakeFrame([1, 2, 3, 4, 5].map((id) => ({ id, address: `10.0.0.${id}:80`, refusals: id < 5 ? refusals : 0 })));
  registry.frame("a", frame(0), 0);
  registry.frame("a", frame(3), 100);
  t.deepEqual(
    [1, 2, 3, 4, 5].filter((id) => stateOf(id) === "DOWN"),
    [1, 2],
  );
  t.deepEqual(capped, [false, false, true, true]);
});

test("a load balancer that reaches nobody says nothing of servers with which another has no trouble", (t) => {
  const { registry, stateOf } = setup();
  const frame = (refusals: number, completions: number) => fakeFrame(two.map((s) => ({ ...s, refusals, completions })));
  registry.frame("bad", frame(0, 0), 0);
  registry.frame("good", frame(0, 0), 0);
  registry.frame("good", frame(0, 5), 10_000);
  registry.frame("bad", frame(50, 0), 10_100);
  t.not(stateOf(1), "DOWN");
  registry.frame("bad", frame(100, 0), 20_000);
  t.is(stateOf(1), "DOWN", "nobody has better luck any more");
});

test("failures while no load balancer is heard are no evidence: this machine may be cut off", (t) => {
  const { registry, changes, checked } = setup();
  registry.frame("a", fakeFrame(two), 0);
  checked(A, up, 1);
  changes.length = 0;
  checked(A, down, SILENCE_MS + 1);
  t.is(changes.length, 0);
  registry.frame("a", fakeFrame(two), SILENCE_MS + 2);
  checked(A, down, SILENCE_MS + 3);
  t.is(changes[0]?.verdict.state, "DOWN");
});

test("a restarted data plane's counts begin anew and its ids are new", (t) => {
  const { registry, changes, checked } = setup();
  registry.frame("a", fakeFrame([{ id: 1, address: A, refusals: 0 }]), 0);
  checked(A, up, 1);
  changes.length = 0;
  registry.frame("a", fakeFrame([{ id: 1, address: A, refusals: 9 }], { dpEpoch: 2n }), 100);
  t.deepEqual(
    changes.map((c) => c.verdict.state),
    ["UP"],
  );
});

test("a VIP whose frames stop is forgotten", (t) => {
  const { registry, checks } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.tick(FORGET_MS - 1);
  t.is([...registry.all()].length, 2);
  registry.tick(FORGET_MS);
  t.is([...registry.all()].length, 0);
  t.deepEqual(checks.slice(2), [`-tcp ${A}`, `-tcp ${B}`]);
});

test("a server without a port is checked at the VIP's", (t) => {
  const { registry, checks } = setup();
  registry.frame("a", fakeFrame([{ id: 1, address: "10.0.0.1:0" }]), 0);
  t.deepEqual(checks, ["+tcp 10.0.0.1:8080"]);
});

test("a VIP that its agent's roster no longer has is forgotten at once; another life's and another agent's are not", (t) => {
  const { registry, checks } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.frame("a", fakeFrame([{ id: 9, address: "10.0.0.9:80" }], { vipId: 2, birth: 2n }), 0);
  registry.frame("b", fakeFrame([{ id: 9, address: "10.0.0.8:80" }]), 0);
  checks.length = 0;
  registry.roster("a", 2n, []);
  registry.roster("a", 1n, [{ dpEpoch: 1n, birth: 2n }]);
  t.deepEqual(checks, [`-tcp ${A}`, `-tcp ${B}`]);
});

test("a new VIP under a freed id, with as many edits, is not taken for the old one", (t) => {
  const { registry, checks } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.roster("a", 1n, [{ dpEpoch: 1n, birth: 2n }]);
  registry.frame("a", fakeFrame([{ id: 9, address: "10.0.0.9:80" }], { birth: 2n }), 100);
  t.deepEqual(checks.slice(2), [`-tcp ${A}`, `-tcp ${B}`, "+tcp 10.0.0.9:80"]);
});

test("a server that is there twice is its member: the record that leaves is no target", (t) => {
  const { registry, changes } = setup();
  const leaving = { id: 1, address: A, flags: ServerFlag.MEMBER | ServerFlag.LEAVING };
  registry.frame("a", fakeFrame([leaving, { id: 7, address: A }]), 0);
  t.deepEqual(
    changes.map((c) => c.target.serverId),
    [7],
  );
});

test("one address under a TCP and a UDP VIP is two services; without checks what flows said ends by itself", (t) => {
  const { registry, changes, checks, checked, stateOf } = setup((vip) => (vip === "dns" ? {} : { fall: 1 }));
  const dns = (refusals: number) =>
    fakeFrame([{ id: 5, address: A, refusals }], { vipId: 2, birth: 2n, protocol: "udp", name: "dns" });
  registry.frame("a", fakeFrame(two.slice(0, 1)), 0);
  registry.frame("a", dns(0), 0);
  t.deepEqual(checks, [`+tcp ${A}`]);
  t.is(stateOf(5), "UP", "no check runs there");
  changes.length = 0;
  checked(A, down, 1);
  t.deepEqual(
    changes.map((c) => `${c.target.vipId} ${c.verdict.state}`),
    ["1 DOWN"],
  );
  registry.frame("a", dns(3), 2);
  t.is(stateOf(5), "DOWN");
  registry.frame("a", dns(3), 9000);
  registry.frame("a", fakeFrame(two.slice(0, 1)), 9000);
  registry.tick(10_100);
  t.deepEqual([stateOf(1), stateOf(5)], ["DOWN", "UP"]);
});
