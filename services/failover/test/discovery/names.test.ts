// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { FakeTimers } from "../../../../testbed/fake-timers.js";
import { type Answer, byAddress, byService, follow } from "../../discovery/names.js";
import type { Ask } from "../../discovery/resolver.js";

type Zone = Record<string, { list: unknown[]; ttl: number } | Error>;

/** Names by "NAME TYPE"; what is not there has no records. */
const asked = (zone: Zone): Ask =>
  (async (name: string, type: string) => {
    const found = zone[`${name} ${type}`];
    if (found instanceof Error) throw found;
    return found ?? { list: [], ttl: 0 };
  }) as Ask;

const at = (address: string) => ({ address });
const srv = (target: string, port: number, weight: number, priority = 0) => ({ target, port, weight, priority });

test("the addresses of a name, with its port, for as long as the shortest of them lives", async (t) => {
  const ask = asked({
    "web A": { list: [at("10.0.0.1"), at("10.0.0.2")], ttl: 30 },
    "web AAAA": { list: [at("2001:db8::1")], ttl: 20 },
  });
  const answer = await byAddress(ask, { host: "web", port: 80 }, "any");
  t.deepEqual(
    answer.list.map((s) => s.address),
    ["10.0.0.1:80", "10.0.0.2:80", "[2001:db8::1]:80"],
  );
  t.is(answer.ttlMs, 20_000);
  t.deepEqual((await byAddress(ask, { host: "web", port: 80 }, "ipv6")).list.length, 1);
  t.deepEqual(await byAddress(ask, { host: "nobody", port: 80 }, "any"), { list: [], ttlMs: 0 });
});

test("one family of which nobody tells is no shorter list", async (t) => {
  const ask = asked({ "web A": { list: [at("10.0.0.1")], ttl: 30 }, "web AAAA": new Error("answered SERVFAIL") });
  await t.throwsAsync(byAddress(ask, { host: "web", port: 80 }, "any"), { message: /SERVFAIL/ });
  t.is((await byAddress(ask, { host: "web", port: 80 }, "ipv4")).list.length, 1);
});

test("SRV records give ports, weights and priorities", async (t) => {
  const ask = asked({
    "_http._tcp.web SRV": { list: [srv("a", 8001, 10), srv("b", 8002, 0), srv("c", 8003, 5, 7)], ttl: 40 },
    "a A": { list: [at("10.0.0.1"), at("10.0.0.2")], ttl: 60 },
    "b A": { list: [at("10.0.0.3")], ttl: 25 },
    "c A": { list: [at("10.0.0.4")], ttl: 60 },
  });
  t.deepEqual(await byService(ask, "_http._tcp.web", "any"), {
    list: [
      { address: "10.0.0.1:8001", weight: 5, priority: 0 },
      { address: "10.0.0.2:8001", weight: 5, priority: 0 },
      { address: "10.0.0.3:8002", weight: 1, priority: 0 },
      { address: "10.0.0.4:8003", weight: 5, priority: 7 },
    ],
    ttlMs: 25_000,
  });
});

test("a target without an address has left; one of which nobody tells fails the answer", async (t) => {
  const zone: Zone = {
    "s SRV": { list: [srv("a", 80, 1), srv("gone", 80, 1), srv(".", 80, 1), srv("a", 0, 1)], ttl: 5 },
    "a A": { list: [at("10.0.0.1")], ttl: 60 },
  };
  t.deepEqual(await byService(asked(zone), "s", "any"), {
    list: [{ address: "10.0.0.1:80", weight: 1, priority: 0 }],
    ttlMs: 5000,
  });
  await t.throwsAsync(byService(asked({ ...zone, "gone A": new Error("no answer") }), "s", "any"), { message: "no answer" });
});

const settled = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

test("a name is asked for again when its records have lived, within bounds, and soon after a failure", async (t) => {
  const timers = new FakeTimers();
  const answers: (Answer | Error)[] = [];
  const times: number[] = [];
  const said: string[] = [];
  const one = { address: "10.0.0.1:80", weight: 1, priority: 0 };
  const live = (ttlMs: number): Answer => ({ list: [one], ttlMs });
  answers.push(live(7000), live(0), live(9e9), new Error("away"), { list: [], ttlMs: 0 }, live(7000));
  const stop = follow({
    async ask() {
      times.push(timers.time);
      const a = answers.shift() ?? new Error("no more");
      if (a instanceof Error) throw a;
      return a;
    },
    timers,
    minMs: 1000,
    maxMs: 60_000,
    found: (list) => said.push(`found ${list.length}`),
    failed: (reason) => said.push(reason),
  });
  for (const ms of [7000, 1000, 60_000, 5000, 5000]) {
    await settled();
    timers.advance(ms - 1);
    await settled();
    timers.advance(1);
  }
  await settled();
  t.deepEqual(times, [0, 7000, 8000, 68_000, 73_000, 78_000]);
  t.deepEqual(said, ["found 1", "found 1", "found 1", "away", "found 0", "found 1"]);
  stop();
  timers.advance(1e6);
  await settled();
  t.is(times.length, 6);
});
