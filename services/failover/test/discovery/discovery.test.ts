// SPDX-License-Identifier: Apache-2.0
// What of an answer becomes a pool's list, and what is said where it does not.
import test from "ava";
import { FakeTimers } from "../../../../testbed/fake-timers.js";
import { parseConfig } from "../../../common/config/load.js";
import { Discovery } from "../../discovery/discovery.js";
import type { Ask } from "../../discovery/resolver.js";
import { MAX_SERVERS } from "../../messages.js";

const settled = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

function setup(discover = "dns: web.test:80") {
  const { vips } = parseConfig(
    `vips: [{ name: web, address: "10.0.0.100:80", discover: { ${discover}, hold_ms: 0 } }, { name: dns, address: "10.0.0.101:80" }]`,
  );
  const timers = new FakeTimers();
  const lists: string[] = [];
  const logged: string[] = [];
  let answer: string[] | Error = ["10.0.0.1"];
  const log = (o: object) => void logged.push(JSON.stringify(o));
  const discovery = new Discovery({
    vips,
    timers,
    unixMs: () => 1_000_000 + timers.time,
    log: { info: log, warn: log } as never,
    found: (pool, servers) => lists.push(`${pool} ${servers.map((s) => s.address).join(" ")}`),
    resolver: () =>
      (async (_: string, type: string) => {
        if (answer instanceof Error) throw answer;
        return type === "A" ? { list: answer.map((address) => ({ address })), ttl: 1 } : { list: [], ttl: 0 };
      }) as Ask,
  });
  return {
    discovery,
    lists,
    logged,
    state: () => discovery.pools.get("web"),
    async answers(next: string[] | Error) {
      answer = next;
      timers.advance(5000);
      await settled();
    },
  };
}

test("an empty answer and a failure leave the last list, and are said once", async (t) => {
  const { lists, logged, answers, state } = setup();
  t.deepEqual(state(), { from: "dns web.test:80", servers: 0, atUnixMs: null, problem: "nothing was found yet" });
  await settled();
  t.deepEqual(state(), { from: "dns web.test:80", servers: 1, atUnixMs: 1_000_000, problem: "" });
  const n = logged.length;
  await answers([]);
  t.is(state()?.problem, "no servers are there");
  await answers(new Error("answered SERVFAIL"));
  t.deepEqual([state()?.problem, state()?.servers, state()?.atUnixMs], ["answered SERVFAIL", 1, 1_000_000]);
  await answers(new Error("answered SERVFAIL"));
  t.is(logged.length, n + 2);
  t.deepEqual(lists, ["web 10.0.0.1:80"]);
  await answers(["10.0.0.2"]);
  t.deepEqual([state()?.problem, lists.at(-1)], ["", "web 10.0.0.2:80"]);
});

test("a server that is the VIP itself is left out, and said", async (t) => {
  const { lists, answers, state } = setup();
  await settled();
  await answers(["10.0.0.2", "10.0.0.100"]);
  t.is(lists.at(-1), "web 10.0.0.2:80");
  t.regex(state()?.problem ?? "", /left out: server 10\.0\.0\.100:80 is the VIP itself/);
  await answers(["10.0.0.100"]);
  t.is(lists.length, 2, "nobody else is there: the last list stands");
});

test("VIPs that are found behind each other are a loop, whatever their configured servers are", async (t) => {
  const { vips } = parseConfig(`
vips:
  - { name: web, address: "10.0.0.100:80", discover: { dns: "api.test:80" } }
  - { name: api, address: "10.0.0.101:80", discover: { dns: "web.test:80" } }
`);
  const addresses: Record<string, string> = { "web.test": "10.0.0.100", "api.test": "10.0.0.101" };
  const ask = async (name: string, type: string) => ({ list: type === "A" ? [{ address: addresses[name] }] : [], ttl: 1 });
  const lists: string[] = [];
  const discovery = new Discovery({
    vips,
    timers: new FakeTimers(),
    unixMs: () => 0,
    log: { info() {}, warn() {} },
    found: (pool) => lists.push(pool),
    resolver: () => ask as Ask,
  });
  await settled();
  t.deepEqual(lists, ["web"]);
  t.regex(discovery.pools.get("api")?.problem ?? "", /leads back to the VIP: VIP web has it behind it/);
  discovery.stop();
});

test("more servers than a pool may have are cut, and said", async (t) => {
  const { lists, answers, state } = setup();
  await settled();
  await answers(Array.from({ length: MAX_SERVERS + 1 }, (_, i) => `10.1.${i >> 8}.${i & 255}`));
  t.is(lists.at(-1)?.split(" ").length, 1 + MAX_SERVERS);
  t.regex(state()?.problem ?? "", /1025 servers are there/);
});

test("after the end nothing is asked", async (t) => {
  const { discovery, lists, answers } = setup();
  await settled();
  discovery.stop();
  await answers(["10.0.0.2"]);
  t.is(lists.length, 1);
});

for (const [discover, problem] of [
  ["{}", /vips\[0\]\.discover: expected one of dns, srv and file/],
  ["{ dns: web.test:80, srv: _http._tcp.web.test }", /expected one of dns, srv and file/],
  ["{ dns: web.test }", /discover\.dns: expected NAME:PORT/],
  ["{ dns: 10.0.0.1:80 }", /discover\.dns: expected NAME:PORT/],
  ["{ srv: 'a b' }", /discover\.srv: expected a whole DNS name/],
  ["{ file: servers.json }", /discover\.file: expected an absolute path/],
  ["{ srv: a.b, server: ns.test }", /discover\.server: expected an IP address of a name server/],
  ["{ srv: a.b, min_ttl_ms: 5000, max_ttl_ms: 1000 }", /discover\.min_ttl_ms: expected at most max_ttl_ms/],
  ["{ srv: a.b, dsn: 1 }", /discover\.dsn: unknown key/],
] as const) {
  test(`${discover} is refused with its place`, (t) => {
    const text = `vips: [{ name: web, address: "10.0.0.100:80", discover: ${discover} }]`;
    t.throws(() => parseConfig(text), { message: problem });
  });
}

test("a managed pool follows nobody", (t) => {
  const text = 'vips: [{ name: web, address: "10.0.0.100:80", pool: managed, discover: { srv: a.b } }]';
  t.throws(() => parseConfig(text), { message: /discover: expected with pool local only/ });
});
