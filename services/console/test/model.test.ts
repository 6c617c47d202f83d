// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { EventLog } from "../eventlog.js";
import { Model } from "../model.js";
import { NO_GUARDRAIL } from "../trust-now.js";
import { concerns } from "../wire.js";
import { pool, stats, status } from "./samples.js";

const A = "10.0.0.1:80";
const B = "10.0.0.2:80";
const T0 = 1_700_000_000_000;

function bed(capacity: Record<string, number> = {}) {
  const events = new EventLog();
  const model = new Model(events, capacity);
  model.status("lb1:50051", status("edge1"), T0);
  const hear = (vip: object, servers: Parameters<typeof stats>[1], at: number) =>
    model.stats("lb1:50051", stats(vip, servers), at);
  const texts = () => events.all().map((e) => e.text);
  return { events, model, hear, texts };
}

test("statistics of an agent that has not said its name are of nobody", (t) => {
  const { model } = bed();
  t.is(model.stats("lb9:50051", stats({}, [{ address: A }]), T0), null);
});

test("a VIP in a line and in detail: figures, what is due, unknown and unbounded latencies", (t) => {
  const { model, hear } = bed();
  hear(
    {},
    [
      { address: A, weight_static: 3, share: 0.7, flows: 4, ttfb_p95_ms: -1 },
      { address: B, factor: 0, state: "masked" },
    ],
    T0,
  );
  const [brief] = model.briefs(T0);
  t.like(brief, {
    key: "edge1/web",
    lb: "edge1",
    policy: "marl",
    mode: "sed",
    ladder: "model",
    up: 1,
    servers: 2,
    flows: 4,
    tone: "note",
  });
  t.true((brief?.p99 ?? 0) > 1000, "beyond the histogram: its end");
  const detail = model.detail("edge1/web");
  t.deepEqual(
    detail?.servers.map((s) => [s.address, s.due, s.p95]),
    [
      [A, 1, null],
      [B, 0, 20],
    ],
  );
  t.true(model.briefs(T0 + 3001)[0]?.stale);
  t.deepEqual(model.briefs(T0 + 600_001), [], "long silent: no longer listed");
});

test("where capacities are known they are what is due, and fairness is of them", (t) => {
  const { model, hear } = bed({ [A]: 1, [B]: 3 });
  hear(
    {},
    [
      { address: A, flows: 2 },
      { address: B, flows: 6 },
    ],
    T0,
  );
  t.deepEqual(
    model.detail("edge1/web")?.servers.map((s) => s.due),
    [0.25, 0.75],
  );
  t.true(model.detail("edge1/web")?.capacityKnown);
  t.is(model.briefs(T0)[0]?.jain, 1);
});

test("new flows a second are counted over the last five; a count that fell began anew", (t) => {
  const { model, hear } = bed();
  for (let s = 0; s <= 8; s++) hear({}, [{ address: A, new_flows: String(s < 4 ? 0 : (s - 4) * 100) }], T0 + 1000 * s);
  t.is(model.detail("edge1/web")?.servers[0]?.newFlows, 80);
  hear({}, [{ address: A, new_flows: "3" }], T0 + 9000);
  t.is(model.detail("edge1/web")?.servers[0]?.newFlows, 0);
});

test("ladder, policy, mode and pool state that change are events, with the reason of the ladder's step", (t) => {
  const { model, hear, texts, events } = bed();
  const servers = [{ address: A }];
  hear({}, servers, T0);
  t.deepEqual(texts(), []);
  model.status("lb1:50051", { ...status("edge1"), peers: [{ name: "inference", address: "i:1", state: "down" }] } as never, T0);
  hear({ ladder: "LADDER_LAST_GOOD" }, servers, T0 + 1000);
  t.is(
    texts().at(-1),
    "ladder model → last-good: inference did not answer (inference at i:1 is down): the last good weights stay",
  );
  t.is(events.all().at(-1)?.tone, "bad");
  hear({ ladder: "LADDER_MODEL", policy: "kalman", mode: "MODE_P2C", state: "VIP_STATE_PANIC" }, servers, T0 + 2000);
  t.deepEqual(texts().slice(1), [
    "ladder last-good → model: kalman decides, in effect 1.5 ms after the frame",
    "policy marl → kalman",
    "mode sed → p2c",
    "pool normal → panic",
  ]);
});

test("a server's change waits for failover's reason, and is told without it after two seconds", (t) => {
  const { model, hear, texts } = bed();
  hear({}, [{ address: A }, { address: B }], T0);
  hear({}, [{ address: A, state: "masked", factor: 0 }, { address: B }], T0 + 1000);
  t.deepEqual([texts(), [...model.wanted()]], [[], ["web"]]);
  model.pool("web", pool([{ address: A, reason: "tcp: connection refused" }]), T0 + 1200);
  t.deepEqual(texts(), [`${A} up → masked: tcp: connection refused`]);
  hear({}, [{ address: A }], T0 + 5000);
  model.settle(T0 + 6000);
  t.is(texts().length, 1);
  model.settle(T0 + 7000);
  t.deepEqual(texts().slice(1).sort(), [`${A} masked → up`, `${B} left the pool`]);
});

test("an agent that stops answering is said once, and again when it is back; two of one name are told apart", (t) => {
  const { model, texts } = bed();
  for (let i = 0; i < 3; i++) model.lost("lb1:50051", "refused", T0 + i);
  t.deepEqual(model.silent(), [{ address: "lb1:50051", why: "refused" }]);
  model.status("lb1:50051", status("edge1"), T0 + 5);
  model.status("lb2:50051", status("edge1"), T0 + 6);
  t.deepEqual(texts(), ["edge1 does not answer: refused", "edge1 answers again"]);
  model.stats("lb2:50051", stats({}, [{ address: A }]), T0 + 7);
  t.deepEqual(
    model.briefs(T0 + 8).map((v) => v.key),
    ["edge1@lb2:50051/web"],
  );
});

test("who holds a server, and whose the override is", (t) => {
  const { model, hear } = bed();
  hear({}, [{ address: A, state: "masked", factor: 0 }], T0);
  const holds = [{ kind: "HOLD_KIND_MAINTENANCE", by: "ops", reason: "disk", at_unix_ms: "7" }];
  model.pool("web", pool([{ address: A, reason: "maintenance", holds }], { override: { reason: "incident" } }), T0);
  hear({ source: "override" }, [{ address: A, state: "masked", factor: 0 }], T0 + 1000);
  t.deepEqual(model.detail("edge1/web")?.servers[0]?.holds, [{ kind: "maintenance", by: "ops", reason: "disk", at: 7 }]);
  t.is(model.detail("edge1/web")?.override, "incident");
  t.is(model.briefs(T0 + 1000)[0]?.why, "an operator set the weights: incident");
});

test("an event concerns a VIP, a whole load balancer, or a pool at all of them", (t) => {
  const of = (key: string) => ["edge1/web", "edge2/web", "edge1/api"].filter((k) => concerns({ key }, k));
  t.deepEqual(of("edge1/web"), ["edge1/web"]);
  t.deepEqual(of("edge1/"), ["edge1/web", "edge1/api"]);
  t.deepEqual(of("/web"), ["edge1/web", "edge2/web"]);
});

test("events are bounded, in order of time, and read from where a reader stopped", (t) => {
  const events = new EventLog();
  const add = (at: number) => events.add({ at, key: "a/b", kind: "order", tone: "note", text: String(at) });
  add(10);
  add(30);
  const read = events.last;
  add(20);
  t.deepEqual(
    events.all().map((e) => e.at),
    [10, 20, 30],
  );
  t.deepEqual(
    events.since(read).map((e) => e.at),
    [20],
  );
  for (let i = 0; i < 3000; i++) add(100 + i);
  t.is(events.all().length, 2000);
  t.is(events.since(0).length, 200);
});

test("an experiment's start and end, and the guardrail's steps, are events; what was there before is no news", (t) => {
  const { model, hear, texts } = bed();
  hear({}, [{ address: A }], T0);
  const step = (at: number, word: string) => ({ at: T0 + at, step: word, evidence: "flows stay long" });
  const none = { shadow: null, experiment: null, guardrail: { ...NO_GUARDRAIL, steps: [step(-5, "again")] } };
  const steps = [step(-5, "again"), step(2, "suspected"), step(2, "withdrawn"), step(2, "down")];
  const experiment = (verdict: string) => ({
    id: "e1",
    candidate: "marl",
    baseline: "kalman",
    share: 0.5,
    startedAt: 0,
    deadline: 0,
    verdict,
    why: "duration -5 %",
    intervals: [],
  });
  model.trust("edge1/web", none, T0);
  model.trust("edge1/web", { ...none, experiment: experiment("running") }, T0 + 1);
  hear({ policy: "kalman", turn_of: "experiment" }, [{ address: A }], T0 + 1);
  model.trust("edge1/web", { ...none, experiment: experiment("better"), guardrail: { ...NO_GUARDRAIL, steps } }, T0 + 2);
  model.trust("edge1/web", { ...none, experiment: experiment("better"), guardrail: { ...NO_GUARDRAIL, steps } }, T0 + 3);
  t.deepEqual(texts(), [
    "experiment e1, marl against kalman: started",
    "suspected: flows stay long",
    "withdrawn: flows stay long",
    "down: flows stay long",
    "experiment e1, marl against kalman: better: duration -5 %",
  ]);
  const other = bed();
  other.model.trust("edge1/web", { ...none, experiment: experiment("better") }, T0);
  t.deepEqual(other.texts(), []);
});
