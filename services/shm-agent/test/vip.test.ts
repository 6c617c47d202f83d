// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { InFlag, Ladder } from "../../common/vocabulary.js";
import { NO_DIRECTIVE } from "../compose.js";
import type { Decision } from "../ladder.js";
import { NEWCOMER_NS, Vip } from "../vip.js";
import { decodeFake, FakeRegion, rawFrame, SETTINGS } from "./fake-region.js";

const servers = [
  { id: 10, address: "10.0.0.1:80", weight: 1 },
  { id: 11, address: "10.0.0.2:80", weight: 3 },
];
const decision = (weights: number[], ids = [10, 11]): Decision => ({
  ids,
  weights: Float32Array.from(weights),
  bias: new Float32Array(0),
  kappa: 0,
  mode: 0,
  policy: "marl",
  turnOf: "order",
});
const setup = () => ({ vip: new Vip(rawFrame(2, servers), decodeFake, SETTINGS, 2), region: new FakeRegion() });
const shares = (v: Vip) => [...v.shares].map(([id, s]) => `${id}=${Math.round(s * 100) / 100}`).join(" ");

test("without an answer the configured weights are published, as static", (t) => {
  const { vip, region } = setup();
  vip.asked();
  vip.missed(200);
  t.true(vip.compose(region, 200));
  t.is(shares(vip), "10=0.25 11=0.75");
  t.is(region.published[0]?.ladder, Ladder.STATIC);
});

test("an answer is published under its step, to the newest frame", (t) => {
  const { vip, region } = setup();
  t.true(vip.answered(decision([1, 1]), Ladder.KALMAN, region, 0));
  t.is(shares(vip), "10=0.5 11=0.5");
  t.is(region.published[0]?.ladder, Ladder.KALMAN);
  t.is(region.published[0]?.frame.seq, 2);
  t.is(vip.policy, "marl");
});

test("a refused answer is counted as refused, not as unanswered; the last good one is published again", (t) => {
  const { vip, region } = setup();
  vip.answered(decision([1, 3]), Ladder.MODEL, region, 0);
  vip.asked();
  t.false(vip.answered(decision([Number.NaN, 1]), Ladder.MODEL, region, 200));
  t.is(shares(vip), "10=0.25 11=0.75");
  t.is(vip.counters.refused.get("not-finite"), 1);
  t.is(vip.lastRefusal, "not-finite");
  t.deepEqual([vip.counters.answered, vip.counters.unanswered, vip.pending], [1, 0, false]);
  for (const now of [400, 600]) vip.answered(decision([0, 0]), Ladder.MODEL, region, now);
  t.is(vip.counters.refused.get("all-zero"), 2);
  t.is(vip.counters.unanswered, 0);
  t.is(region.published.at(-1)?.ladder, Ladder.LAST_GOOD);
});

test("answers of another epoch or generation, and those older than three ticks, are dropped", (t) => {
  const { vip } = setup();
  vip.see(rawFrame(100, servers, { generation: 4 }));
  const at = { dpEpoch: 1n, generation: 4, frameSeq: 100 };
  t.is(vip.whyNot(at), null);
  t.is(vip.whyNot({ ...at, frameSeq: 94 }), null);
  t.is(vip.whyNot({ ...at, frameSeq: 93 }), "stale");
  t.is(vip.whyNot({ ...at, frameSeq: 101 }), "stale");
  t.is(vip.whyNot({ ...at, generation: 3 }), "generation");
  t.is(vip.whyNot({ ...at, dpEpoch: 2n }), "epoch");
});

test("masks act at every step of the ladder, an older term does not loosen them", (t) => {
  const { vip, region } = setup();
  t.true(vip.order({ ...NO_DIRECTIVE, term: 7n, factors: new Map([[10, 0]]) }));
  vip.compose(region, 0);
  t.is(shares(vip), "10=0 11=1");
  vip.answered(decision([5, 1]), Ladder.MODEL, region, 100);
  t.is(shares(vip), "10=0 11=1");
  t.false(vip.order({ ...NO_DIRECTIVE, term: 6n }));
  t.is(vip.counters.termsRefused, 1);
  vip.compose(region, 200);
  t.is(shares(vip), "10=0 11=1");
  t.is(region.published.at(-1)?.term, 7n);
});

test("the load balancer's number goes with the vector", (t) => {
  const { vip, region } = setup();
  vip.compose(region, 0);
  t.deepEqual([region.published.at(-1)?.loadBalancers, region.published.at(-1)?.loadBalancer], [1, 0]);
  vip.order({ ...NO_DIRECTIVE, term: 1n, loadBalancers: 3, loadBalancer: 2 });
  vip.compose(region, 200);
  t.deepEqual([region.published.at(-1)?.loadBalancers, region.published.at(-1)?.loadBalancer], [3, 2]);
});

test("a push rules for its hold, then inference again; an override wins over both", (t) => {
  const { vip, region } = setup();
  vip.answered(decision([1, 1]), Ladder.MODEL, region, 0);
  vip.push({ decision: decision([9, 1]), untilMs: 1000 }, region, 500);
  t.deepEqual([vip.source, shares(vip)], ["push", "10=0.9 11=0.1"]);
  vip.order({
    ...NO_DIRECTIVE,
    term: 1n,
    override: {
      weights: new Map([
        [10, 1],
        [11, 4],
      ]),
      mode: 2,
      reason: "",
    },
  });
  vip.compose(region, 600);
  t.deepEqual([vip.source, shares(vip), region.published.at(-1)?.mode], ["override", "10=0.2 11=0.8", 2]);
  vip.order({ ...NO_DIRECTIVE, term: 2n });
  vip.compose(region, 999);
  t.is(vip.source, "push");
  vip.compose(region, 1000);
  t.deepEqual([vip.source, shares(vip)], ["inference", "10=0.5 11=0.5"]);
});

test("an override is exact and names whom it wants; answers and pushes pass the envelope", (t) => {
  const { vip, region } = setup();
  vip.answered(decision([1, 1]), Ladder.MODEL, region, 0);
  vip.push({ decision: decision([9, 1]), untilMs: 1000 }, region, 100);
  vip.order({ ...NO_DIRECTIVE, term: 1n, override: { weights: new Map([[10, 5]]), mode: 0, reason: "" } });
  vip.compose(region, 200);
  t.deepEqual(
    region.published.map((v) => v.exact),
    [false, false, true],
  );
  t.is(shares(vip), "10=0.63 11=0.38", "11 keeps its configured 3");
  vip.order({ ...NO_DIRECTIVE, term: 2n, override: { weights: new Map([[10, 0]]), mode: 0, reason: "" } });
  vip.compose(region, 300);
  t.is(shares(vip), "10=0 11=1");
});

test("the rate limit's last shares follow the servers over a change of the list", (t) => {
  const { vip, region } = setup();
  vip.answered(decision([1, 3]), Ladder.MODEL, region, 0);
  vip.see(rawFrame(4, [{ id: 12, address: "10.0.0.3:80" }, ...servers], { generation: 2 }));
  vip.compose(region, 200);
  const v = region.published.at(-1);
  t.deepEqual([...(v?.prev ?? [])], [Number.NaN, 0.25, 0.75]);
  t.is(v?.dt, 0.2);
});

test("a push that is refused leaves what ruled before", (t) => {
  const { vip, region } = setup();
  vip.push({ decision: decision([9, 1]), untilMs: 1000 }, region, 0);
  t.false(vip.push({ decision: decision([0, 0]), untilMs: 9000 }, region, 100));
  vip.compose(region, 200);
  t.deepEqual([vip.source, shares(vip)], ["push", "10=0.9 11=0.1"]);
});

test("an agent begins with the term and the masks that are in force, until a newer directive comes", (t) => {
  const masked = [
    { id: 10, address: "10.0.0.1:80", factor: 0 },
    { id: 11, address: "10.0.0.2:80", factor: 1 },
  ];
  const view = { term: 7n, figures: { load_balancers: 3, load_balancer: 2 } };
  const vip = new Vip(rawFrame(2, masked, {}, view), decodeFake, SETTINGS, 2);
  const region = new FakeRegion();
  vip.answered(decision([1, 1]), Ladder.MODEL, region, 0);
  t.is(shares(vip), "10=0 11=1");
  const v = region.published[0];
  t.deepEqual([v?.term, v?.loadBalancers, v?.loadBalancer], [7n, 3, 2]);
  t.false(vip.order({ ...NO_DIRECTIVE, term: 6n }));
  t.true(vip.order({ ...NO_DIRECTIVE, term: 8n }));
  vip.compose(region, 200);
  t.is(shares(vip), "10=0.5 11=0.5");
});

test("another life of the data plane: orders follow the servers by address, the policy stays, its memory goes", (t) => {
  const { vip: before, region } = setup();
  before.answered(decision([1, 3]), Ladder.MODEL, region, 0);
  const weights = new Map([
    [10, 1],
    [11, 4],
  ]);
  const override = { weights, mode: 2, reason: "why" };
  before.order({ ...NO_DIRECTIVE, term: 7n, factors: new Map([[10, 0]]), override, policy: "marl" });
  before.keep({ policy: "marl", schema: 1, state: Buffer.from("x") });
  t.true(before.wantPool({ managed: true, revision: 3n, servers: [] }));
  t.false(before.wantPool({ managed: true, revision: 3n, servers: [] }), "as it is");

  const again = [
    { id: 1, address: "10.0.0.2:80", weight: 3 },
    { id: 2, address: "10.0.0.1:80", weight: 1 },
    { id: 3, address: "10.0.0.9:80", weight: 1 },
  ];
  const vip = new Vip(rawFrame(1, again, { vipId: 4, dpEpoch: 2n, birth: 9n }, { term: 0n }), decodeFake, SETTINGS, 2);
  vip.inherit(before.kept(), before.counters);
  t.is(vip.directive.term, 7n);
  t.deepEqual([...vip.directive.factors], [[2, 0]]);
  t.deepEqual(
    [...(vip.directive.override?.weights ?? [])],
    [
      [2, 1],
      [1, 4],
    ],
  );
  t.deepEqual([vip.pool?.vipId, vip.pool?.birth, vip.pool?.revision], [4, 9n, 3n]);
  t.is(vip.wantedPolicy, "marl");
  t.is(vip.checkpoint, null);
  vip.compose(region, 300);
  t.is(vip.shares.get(2), 0);
  t.true(Number.isNaN(region.published.at(-1)?.prev?.[0]), "no rate limit by shares of other servers");
});

test("a data plane that was told a newer term itself is believed", (t) => {
  const { vip: before } = setup();
  before.order({ ...NO_DIRECTIVE, term: 7n, factors: new Map([[10, 0]]) });
  const vip = new Vip(rawFrame(1, servers, { dpEpoch: 2n }, { term: 8n }), decodeFake, SETTINGS, 2);
  vip.inherit(before.kept(), before.counters);
  t.is(vip.directive.term, 8n);
  t.is(vip.directive.factors.size, 0);
});

test("the answer to a warm-up request runs the envelope and publishes nothing", (t) => {
  const { vip, region } = setup();
  vip.answered(decision([1, 3]), Ladder.MODEL, region, 0);
  const before = [shares(vip), vip.seq, vip.counters.published];
  vip.warmUp(decision([9, 1]), region, 100);
  t.is(region.composed.length, 1);
  t.deepEqual([...(region.composed[0]?.raw ?? [])], [9, 1]);
  t.deepEqual([shares(vip), vip.seq, vip.counters.published], before);
  t.is(region.published.length, 1);
});

test("a server that joined gets no flows until an order knows it, for a while at most", (t) => {
  const third = { id: 12, address: "10.0.0.3:80", weight: 4 };
  const order = (term: bigint, generation: number, newcomersWait = true) => ({
    ...NO_DIRECTIVE,
    term,
    generation,
    newcomersWait,
  });
  const { vip, region } = setup();
  const at = (seq: number, monoNs: bigint) => vip.see(rawFrame(seq, [...servers, third], { generation: 2, monoNs }));
  const share = () => {
    vip.compose(region, 0);
    return vip.shares.get(12);
  };
  vip.order(order(1n, 1));
  at(3, 1_000n);
  t.is(share(), 0);
  t.true(region.published.at(-1)?.newcomersWait);
  vip.order(order(2n, 1));
  t.is(share(), 0, "an order that was made before it came says nothing of it");
  at(4, 1_000n + NEWCOMER_NS - 1n);
  t.is(share(), 0);
  at(5, 1_000n + NEWCOMER_NS);
  t.is(share(), 0.5, "failover may be away");
  at(6, 1_000n);
  vip.order(order(3n, 2));
  t.is(share(), 0.5);
  vip.order(order(4n, 1, false));
  t.is(share(), 0.5);
});

test("whose flows are to end is said by id", (t) => {
  const { vip, region } = setup();
  vip.order({ ...NO_DIRECTIVE, term: 1n, closing: new Set([11, 99]) });
  vip.compose(region, 0);
  t.deepEqual(region.published.at(-1)?.flags, Uint8Array.of(0, InFlag.CLOSE));
});
