// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import type { Change__Output } from "../../../gen/marllb/v1/Change.js";
import type { GetTrustResponse__Output } from "../../../gen/marllb/v1/GetTrustResponse.js";
import type { StreamStatsResponse__Output as Stats } from "../../../gen/marllb/v1/StreamStatsResponse.js";
import type { Verdict__Output } from "../../../gen/marllb/v1/Verdict.js";
import { GuardrailChanges, happeningText, OrderChanges, statsChanges, VerdictChanges } from "../changes.js";

const stats = (vip: object, servers: object[]): Stats =>
  ({
    vip: {
      name: "web",
      policy: "marl",
      mode: "MODE_SED",
      ladder: "LADDER_MODEL",
      state: "VIP_STATE_NORMAL",
      source: "inference",
      ...vip,
    },
    servers,
  }) as unknown as Stats;

test("what changed of a VIP and of its servers, one line each", (t) => {
  const before = stats({}, [
    { address: "a:1", state: "up" },
    { address: "b:1", state: "up" },
  ]);
  const now = stats({ ladder: "LADDER_KALMAN", policy: "kalman" }, [
    { address: "a:1", state: "ejected" },
    { address: "c:1", state: "up" },
  ]);
  t.deepEqual(statsChanges("edge1", before, now).map(happeningText), [
    "edge1 web  policy: marl -> kalman",
    "edge1 web  ladder: model -> kalman",
    "edge1 web a:1  server: up -> ejected",
    "edge1 web c:1  servers: joined",
    "edge1 web b:1  servers: left",
  ]);
  t.deepEqual(statsChanges("edge1", now, now), []);
});

test("a policy that decides in place of the ordered one says why; a guardrail's steps are news once, of each replica", (t) => {
  const [before, now] = [stats({ turn_of: "order" }, []), stats({ policy: "kalman", turn_of: "suspicion" }, [])];
  t.deepEqual(statsChanges("edge1", before, now).map(happeningText), [
    "edge1 web  policy: marl -> kalman (the guardrail finds out whether the policy does harm)",
  ]);
  const step = (at: number, word: string) => ({ at_unix_ms: String(at), step: word, evidence: `seen at ${at}` });
  const trust = (...steps: object[]) => ({ instances: ["edge1"], guardrail: { steps } }) as unknown as GetTrustResponse__Output;
  const heard = new GuardrailChanges();
  t.deepEqual(heard.hear("r1", "web", trust(step(1, "again"))), [], "what was there before is no news");
  const said = heard.hear("r1", "web", trust(step(1, "again"), step(2, "suspected"), step(2, "withdrawn")));
  t.deepEqual(said.map(happeningText), [
    "edge1 web  guardrail: suspected (seen at 2)",
    "edge1 web  guardrail: withdrawn (seen at 2)",
  ]);
  t.deepEqual(heard.hear("r1", "web", trust(step(1, "again"), step(2, "suspected"), step(2, "withdrawn"))), []);
  t.deepEqual(heard.hear("r2", "web", trust(step(1, "down"))), []);
});

const verdict = (state: string, instance = "edge1") =>
  ({
    instance,
    vip: "web",
    address: "a:1",
    state: `HEALTH_STATE_${state}`,
    reason: "tcp: connection refused",
  }) as unknown as Verdict__Output;

test("a verdict is news when it turns, whichever load balancer's it is", (t) => {
  const heard = new VerdictChanges();
  t.deepEqual(heard.hear("h1", [verdict("UP"), verdict("UP", "edge2")]), []);
  const [first, ...more] = heard.hear("h1", [verdict("DOWN"), verdict("DOWN", "edge2")]);
  t.deepEqual(more, []);
  t.is(happeningText(first as never), "web a:1  health: up -> down (tcp: connection refused)");
});

test("replicas of health that differ are no news each time they say so", (t) => {
  const heard = new VerdictChanges();
  const said = (replica: string, state: string): string[] => heard.hear(replica, [verdict(state)]).map((h) => h.to);
  t.deepEqual([said("h1", "UP"), said("h2", "DOWN"), said("h1", "UP"), said("h2", "DOWN")].flat(), []);
  // Both turn: the first says it.
  t.deepEqual([said("h1", "DOWN"), said("h2", "DOWN")].flat(), ["down"]);
  t.deepEqual([said("h2", "UP"), said("h1", "UP")].flat(), ["up"]);
});

test("orders are news from the second look on, oldest first", (t) => {
  const change = (version: number, what: string) =>
    ({ version: String(version), by: "ops", reason: "disk", what: [what] }) as unknown as Change__Output;
  const orders = new OrderChanges();
  t.deepEqual(orders.hear("web", [change(4, "drain a:1")]), []);
  t.deepEqual(orders.hear("web", [change(6, "undrain a:1"), change(5, "drain b:1"), change(4, "drain a:1")]).map(happeningText), [
    "web  order: drain b:1 by ops (disk)",
    "web  order: undrain a:1 by ops (disk)",
  ]);
  t.deepEqual(orders.hear("web", [change(6, "undrain a:1")]), []);
});
