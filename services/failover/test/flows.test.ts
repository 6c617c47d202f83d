// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { countOf, Flows } from "../flows.js";

const A = "10.0.0.1:80";
const frame = (instance: string, flows: number, dpEpoch = 1n) => ({
  pool: "web",
  instance,
  dpEpoch,
  servers: () => new Map([[A, { flows, draining: false, ejected: false }]]),
});
const slots = (live: Record<string, boolean>) => new Map(Object.entries(live));

test("counts are summed over load balancers; one that is not heard makes them unknown, not 0", (t) => {
  const f = new Flows(60_000);
  f.heard("a/1", frame("a", 3), 0);
  f.heard("b/1", frame("b", 4), 0);
  const count = (live: Record<string, boolean>, expected = 2) => countOf(f.of("web", slots(live), 0), A, expected);
  t.deepEqual(count({ "a/1": true, "b/1": true }), { flows: 7, unknown: "" });
  t.deepEqual(count({ "a/1": true, "b/1": false }), { flows: 3, unknown: "b is away; it had 4" });
  t.deepEqual(count({ "a/1": true, "b/1": true }, 3), { flows: 7, unknown: "1 of 3 load balancers is not known here" });
  t.deepEqual(count({ "a/1": true }, 1), { flows: 3, unknown: "" }, "b has the VIP no longer");
});

test("a data plane that was taken over may still have its flows, until its drain is over", (t) => {
  const f = new Flows(60_000);
  f.heard("a/1", frame("a", 10), 0);
  f.heard("a/1", frame("a", 0, 2n), 100);
  f.heard("a/1", frame("a", 1, 2n), 200);
  const count = (now: number) => countOf(f.of("web", slots({ "a/1": true }), now), A, 1);
  t.deepEqual(count(200), { flows: 1, unknown: "a: its former data plane had 10, and may drain" });
  t.deepEqual(count(60_100), { flows: 1, unknown: "" });
});

test("a life that ended without flows leaves nothing unknown", (t) => {
  const f = new Flows(60_000);
  f.heard("a/1", frame("a", 0), 0);
  f.heard("a/1", frame("a", 2, 2n), 1);
  t.deepEqual(countOf(f.of("web", slots({ "a/1": true }), 1), A, 1), { flows: 2, unknown: "" });
});

test("a load balancer that is refused obeys no order: while it asks, its flows are unknown, and only there", (t) => {
  const f = new Flows(60_000);
  f.heard("a/1", frame("a", 1), 0);
  f.refused("10.0.0.9:5", frame("a", 7, 2n), 0);
  const count = (now: number, address = A) => countOf(f.of("web", slots({ "a/1": true }), now), address, 1);
  t.deepEqual(count(1000), { flows: 1, unknown: "another load balancer named a (10.0.0.9:5) is refused; it had 7" });
  t.is(count(1000, "10.0.0.2:80").unknown, "");
  t.is(f.of("api", slots({}), 1000).length, 0);
  t.deepEqual(count(6000), { flows: 1, unknown: "" });
});
