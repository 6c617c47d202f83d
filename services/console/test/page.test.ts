// SPDX-License-Identifier: Apache-2.0
// What of the page needs no browser.
import test from "ava";
import { ago, byChance, count, ms, percent } from "../page/format.js";
import { Series, thinned } from "../page/series.js";
import { NO_GUARDRAIL } from "../trust-now.js";
import type { Live, Past, ServerNow, VipBrief } from "../wire.js";

const T0 = 1_700_000_000_000;

const past = (n: number): Past => ({
  key: "edge1/web",
  from: T0,
  step: 1000,
  n,
  vip: Object.fromEntries(
    ["flows", "newFlows", "p50", "p95", "p99", "jain", "effectMs", "ladder"].map((c) => [
      c,
      Array.from({ length: n }, (_, i) => i),
    ]),
  ) as Past["vip"],
  servers: [
    {
      address: "a",
      share: Array.from({ length: n }, () => 0.5),
      flows: Array.from({ length: n }, () => 1),
      p95: Array.from({ length: n }, () => null),
    },
  ],
  events: [],
});

const live = (at: number, flows: number, servers: string[]): Pick<Live, "at" | "vips" | "detail"> => ({
  at,
  vips: [{ key: "edge1/web", at, stale: false, flows, step: 2 } as VipBrief],
  detail: {
    key: "edge1/web",
    trust: { shadow: null, experiment: null, guardrail: NO_GUARDRAIL },
    servers: servers.map((address) => ({ address, share: 0.1, flows, p95: 9 }) as ServerNow),
    peers: [],
    capacityKnown: false,
    ordered: "",
    override: "",
    managed: false,
  },
});

test("what chance alone leaves of fairness: little of few flows, nearly all of many, nothing below one each", (t) => {
  t.is(byChance(3, 4), null);
  t.is(byChance(null, 4), null);
  t.is(byChance(9, 4), 0.75);
  t.true((byChance(3000, 4) as number) > 0.998);
  t.is(byChance(5, 1), 1);
});

test("moments join the past: a second replaces itself, gaps stay unknown, the axis keeps its length", (t) => {
  const s = new Series(past(4));
  s.add(live(T0 + 3400, 77, ["a"]));
  t.deepEqual(s.vip.flows, [0, 1, 2, 77]);
  s.add(live(T0 + 6000, 88, ["a", "b"]));
  t.deepEqual(
    s.t.map((x) => x * 1000 - T0),
    [3000, 4000, 5000, 6000],
  );
  t.deepEqual(s.vip.flows, [77, null, null, 88]);
  t.deepEqual(s.vip.ladder, [2, null, null, 2]);
  t.deepEqual(s.servers.get("b")?.share, [null, null, null, 0.1]);
  s.add(live(T0 + 3000, 5, ["a"]));
  t.deepEqual(s.vip.flows, [77, null, null, 88], "a moment that is over changes nothing");
});

test("a server that left is drawn until its last point is out of sight; a long gap does not grow the axis", (t) => {
  const s = new Series(past(4));
  s.add(live(T0 + 5000, 1, ["b"]));
  t.true(s.servers.has("a"));
  s.add(live(T0 + 3_600_000, 1, ["b"]));
  t.deepEqual([...s.servers.keys()], ["b"]);
  t.is(s.t.length, 4);
  for (const c of Object.values(s.vip)) t.is(c.length, 4);
});

test("a load balancer that says nothing leaves a gap", (t) => {
  const s = new Series(past(3));
  const quiet = live(T0 + 2000, 1, []);
  s.add({ ...quiet, at: T0 + 4000, vips: [{ ...(quiet.vips[0] as VipBrief), stale: true }] });
  t.deepEqual(s.vip.flows, [2, null, null]);
});

test("of many lines every second moment is drawn: always the same ones as time goes on, and the newest", (t) => {
  const s = new Series(past(7));
  const drawn = s.moments(2);
  t.deepEqual(
    drawn(s.t).map((x) => x - T0 / 1000),
    [0, 2, 4, 6],
  );
  s.add(live(T0 + 7000, 9, ["a"]));
  t.deepEqual(
    s
      .moments(2)(s.t)
      .map((x) => x - T0 / 1000),
    [2, 4, 6, 7],
  );
  t.deepEqual(s.moments(2)(s.vip.flows), [2, 4, 6, 9]);
  t.is(s.moments(1)(s.t), s.t);
});

test("a small picture has the means of its parts", (t) => {
  t.deepEqual(thinned([1, 3, null, null, 5, 7], 3), [2, null, 6]);
  t.deepEqual(thinned([1], 3), [1]);
});

test("numbers as people read them", (t) => {
  t.deepEqual([ms(null), ms(1.26), ms(12.6), ms(1500), ms(12_345)], ["–", "1.3 ms", "13 ms", "1.50 s", "12.3 s"]);
  t.regex(ms(3000, 2048), /^> 2\.05 s$/);
  t.deepEqual(
    [count(null), count(0), count(3.25), count(120.4), count(12_345), count(2_300_000)],
    ["–", "0", "3.3", "120", "12 k", "2.3 M"],
  );
  t.deepEqual([percent(0.031), percent(0.5), percent(null)], ["3.1 %", "50 %", "–"]);
  t.deepEqual([ago(2000), ago(120_000), ago(7_200_000), ago(200_000_000)], ["2 s ago", "2 min ago", "2 h ago", "2 d ago"]);
});
