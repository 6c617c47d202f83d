// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { fakeFrame } from "../../../testbed/fake-frame.js";
import { ServerFlag } from "../../common/vocabulary.js";
import { type Change, FORGET_MS, HealthRegistry, SILENCE_MS } from "../registry.js";

const one = { rise: 1, fall: 1, passiveFailures: 3, active: true };
const rules = { tcp: one, udp: { ...one, active: false } };
const tcp = (address: string) => ({ address, protocol: "tcp" as const });
const udp = (address: string) => ({ address, protocol: "udp" as const });
const down = { ok: false, reason: "tcp: connection refused", rttMs: 0 };
const up = { ok: true, reason: "tcp: connected", rttMs: 1 };

function setup() {
  const changes: Change[] = [];
  const addresses: string[] = [];
  const registry = new HealthRegistry(
    rules,
    (c) => changes.push(...c),
    (a, added) => addresses.push(`${added ? "+" : "-"}${a.protocol === "udp" ? "udp " : ""}${a.address}`),
  );
  return { registry, changes, addresses };
}
const two = [
  { id: 1, address: "10.0.0.1:80" },
  { id: 2, address: "10.0.0.2:80" },
];

test("servers of a frame are checked until they leave it", (t) => {
  const { registry, addresses } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.frame("a", fakeFrame(two), 100);
  t.deepEqual(addresses, ["+10.0.0.1:80", "+10.0.0.2:80"]);
  registry.frame("a", fakeFrame(two.slice(0, 1), { generation: 2 }), 200);
  t.deepEqual(addresses.slice(2), ["-10.0.0.2:80"]);
});

test("a new list is told of at once, however many servers it has", (t) => {
  const calls: [servers: number, joined: boolean][] = [];
  const registry = new HealthRegistry(
    rules,
    (c, joined) => calls.push([c.length, joined]),
    () => {},
  );
  registry.frame("a", fakeFrame(two), 0);
  registry.checked(tcp("10.0.0.1:80"), up, 1);
  t.deepEqual(calls, [
    [2, true],
    [1, false],
  ]);
});

test("one address under two load balancers is checked once, its verdict goes to both", (t) => {
  const { registry, changes, addresses } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.frame("b", fakeFrame([{ id: 9, address: "10.0.0.1:80" }]), 0);
  t.is(addresses.length, 2);
  changes.length = 0;
  registry.checked(tcp("10.0.0.1:80"), down, 1);
  t.deepEqual(
    changes.map((c) => `${c.target.instance}/${c.target.serverId} ${c.verdict.state}`),
    ["a/1 DOWN", "b/9 DOWN"],
  );
  registry.frame("b", fakeFrame([], { generation: 2 }), 2);
  t.is(addresses.length, 2, "the other still uses it");
});

test("counts of two frames are evidence, the first frame's alone are not", (t) => {
  const { registry, changes } = setup();
  registry.frame("a", fakeFrame([{ id: 1, address: "10.0.0.1:80", unanswered: 50 }]), 0);
  registry.checked(tcp("10.0.0.1:80"), up, 1);
  changes.length = 0;
  registry.frame("a", fakeFrame([{ id: 1, address: "10.0.0.1:80", unanswered: 52 }]), 100);
  t.is(changes.length, 0);
  registry.frame("a", fakeFrame([{ id: 1, address: "10.0.0.1:80", unanswered: 53 }]), 200);
  t.is(changes[0]?.verdict.state, "DOWN");
});

test("failures while no load balancer is heard are no evidence: this machine may be cut off", (t) => {
  const { registry, changes } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.checked(tcp("10.0.0.1:80"), up, 1);
  changes.length = 0;
  registry.checked(tcp("10.0.0.1:80"), down, SILENCE_MS + 1);
  t.is(changes.length, 0);
  registry.frame("a", fakeFrame(two), SILENCE_MS + 2);
  registry.checked(tcp("10.0.0.1:80"), down, SILENCE_MS + 3);
  t.is(changes[0]?.verdict.state, "DOWN");
});

test("a restarted data plane's counts begin anew and its ids are new", (t) => {
  const { registry, changes } = setup();
  registry.frame("a", fakeFrame([{ id: 1, address: "10.0.0.1:80", refusals: 0 }]), 0);
  registry.checked(tcp("10.0.0.1:80"), up, 1);
  changes.length = 0;
  registry.frame("a", fakeFrame([{ id: 1, address: "10.0.0.1:80", refusals: 9 }], { dpEpoch: 2n }), 100);
  t.deepEqual(
    changes.map((c) => c.verdict.state),
    ["UP"],
  );
});

test("a VIP whose frames stop is forgotten", (t) => {
  const { registry, addresses } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.tick(FORGET_MS - 1);
  t.is(registry.all(0).length, 2);
  registry.tick(FORGET_MS);
  t.is(registry.all(0).length, 0);
  t.deepEqual(addresses.slice(2), ["-10.0.0.1:80", "-10.0.0.2:80"]);
});

test("a server without a port is checked at the VIP's", (t) => {
  const { registry, addresses } = setup();
  registry.frame("a", fakeFrame([{ id: 1, address: "10.0.0.1:0" }]), 0);
  t.deepEqual(addresses, ["+10.0.0.1:8080"]);
});

test("a VIP that its agent's roster no longer has is forgotten at once; another life's and another agent's are not", (t) => {
  const { registry, addresses } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.frame("a", fakeFrame([{ id: 9, address: "10.0.0.9:80" }], { vipId: 2, birth: 2n }), 0);
  registry.frame("b", fakeFrame([{ id: 9, address: "10.0.0.8:80" }]), 0);
  addresses.length = 0;
  registry.roster("a", 2n, []);
  registry.roster("a", 1n, [{ dpEpoch: 1n, birth: 2n }]);
  t.deepEqual(addresses, ["-10.0.0.1:80", "-10.0.0.2:80"]);
});

test("a new VIP under a freed id, with as many edits, is not taken for the old one", (t) => {
  const { registry, addresses } = setup();
  registry.frame("a", fakeFrame(two), 0);
  registry.roster("a", 1n, [{ dpEpoch: 1n, birth: 2n }]);
  registry.frame("a", fakeFrame([{ id: 9, address: "10.0.0.9:80" }], { birth: 2n }), 100);
  t.deepEqual(addresses.slice(2), ["-10.0.0.1:80", "-10.0.0.2:80", "+10.0.0.9:80"]);
});

test("a server that is there twice is its member: the record that leaves is no target", (t) => {
  const { registry, changes } = setup();
  const leaving = { id: 1, address: "10.0.0.1:80", flags: ServerFlag.MEMBER | ServerFlag.LEAVING };
  registry.frame("a", fakeFrame([leaving, { id: 7, address: "10.0.0.1:80" }]), 0);
  t.deepEqual(
    changes.map((c) => c.target.serverId),
    [7],
  );
});

test("one address under a TCP and a UDP VIP is two services: a verdict on one says nothing of the other", (t) => {
  const { registry, changes, addresses } = setup();
  registry.frame("a", fakeFrame(two.slice(0, 1)), 0);
  registry.frame("a", fakeFrame(two.slice(0, 1), { vipId: 2, birth: 2n, protocol: "udp" }), 0);
  t.deepEqual(addresses, ["+10.0.0.1:80", "+udp 10.0.0.1:80"]);
  t.deepEqual(registry.services(), [tcp("10.0.0.1:80"), udp("10.0.0.1:80")]);
  changes.length = 0;
  registry.checked(tcp("10.0.0.1:80"), down, 1);
  t.deepEqual(
    changes.map((c) => `${c.target.vipId} ${c.verdict.state}`),
    ["1 DOWN"],
  );
  registry.frame("a", fakeFrame([{ id: 1, address: "10.0.0.1:80", refusals: 3 }], { vipId: 2, birth: 2n, protocol: "udp" }), 2);
  t.is(changes.at(-1)?.target.protocol, "udp");
  t.is(changes.at(-1)?.verdict.state, "DOWN");
  registry.tick(5000);
  registry.frame(
    "a",
    fakeFrame([{ id: 1, address: "10.0.0.1:80", refusals: 3 }], { vipId: 2, birth: 2n, protocol: "udp" }),
    9000,
  );
  registry.frame("a", fakeFrame(two.slice(0, 1)), 9000);
  registry.tick(10_100);
  t.is(changes.at(-1)?.verdict.state, "UP", "nothing is checked there: it is tried again");
  t.is(registry.all(10_100).find((c) => c.target.protocol === "tcp")?.verdict.state, "DOWN");
});
