// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { Registry } from "../../common/metrics.js";
import { Experiment } from "../../common/trial/experiment.js";
import { Guardrail } from "../../common/trial/guardrail.js";
import { type TrustOfVip, trustMetrics } from "../trust-metrics.js";

const T0 = 1_700_000_000_000;

async function lines(vips: TrustOfVip[]): Promise<string[]> {
  const registry = new Registry();
  trustMetrics(registry, { vips: () => vips, shadows: () => [] });
  return (await registry.text()).split("\n").filter((l) => l !== "" && !l.startsWith("#"));
}

test("a guardrail says its one state, and of its stays only what is known; a VIP that is not watched is off", async (t) => {
  const guardrail = new Guardrail({ share: 0, blockMs: 10_000, seed: 1, learnS: 300 });
  const of = (said: string[], name: string) => said.filter((l) => l.startsWith(name) && !l.endsWith(" 0"));
  const young = await lines([{ vip: "web", guardrail: guardrail.now(T0), experiment: null }]);
  t.deepEqual(of(young, "marllb_guardrail_state"), ['marllb_guardrail_state{vip="web",state="learning"} 1']);
  t.true(
    of(young, "marllb_guardrail_stay").every((l) => l.endsWith(" NaN")),
    "not known yet",
  );
  const off = await lines([{ vip: "web", guardrail: null, experiment: null }]);
  t.deepEqual(of(off, "marllb_guardrail_state"), ['marllb_guardrail_state{vip="web",state="off"} 1']);
  t.is(off.length, 5);
  for (let at = T0, n = 0; at < T0 + 400_000; at += 500, n++)
    guardrail.hear("edge1", { flowUs: n * 25e6, newFlows: n * 250, ended: n * 250, ttfbUs: 0, answers: 0 }, at);
  const known = await lines([{ vip: "web", guardrail: guardrail.now(T0 + 400_000), experiment: null }]);
  t.deepEqual(of(known, "marllb_guardrail_state"), ['marllb_guardrail_state{vip="web",state="watching"} 1']);
  t.deepEqual(of(known, "marllb_guardrail_stay_seconds"), ['marllb_guardrail_stay_seconds{vip="web"} 0.1']);
  t.is(of(known, "marllb_guardrail_stay").length, 3);
});

test("an experiment says its verdict and pairs at once, and bounds when there are some", async (t) => {
  const times = { startedAt: T0, blockMs: 10_000, share: 0.5, deadline: T0 + 1e7, seed: 1 };
  const e = new Experiment({ id: "e1", vip: "web", candidate: "marl", baseline: "kalman", by: "ann", reason: "", ...times });
  const said = await lines([{ vip: "web", guardrail: null, experiment: e }]);
  const labels = 'vip="web",candidate="marl",baseline="kalman"';
  t.true(said.includes(`marllb_experiment_verdict{${labels},verdict="running"} 1`));
  t.true(said.includes(`marllb_experiment_pairs{${labels}} 0`));
  const effects = (all: string[]) => all.filter((l) => l.startsWith("marllb_experiment_effect_ratio"));
  t.is(effects(said).length, 6);
  t.true(
    effects(said).every((l) => l.endsWith(" NaN")),
    "not known yet",
  );
  for (let cycle = 0; cycle < 30; cycle++) e.take({ cycle, duration: -0.5 + 0.001 * (cycle % 3), ttfb: null }, T0);
  const after = await lines([{ vip: "web", guardrail: null, experiment: e }]);
  t.true(after.includes(`marllb_experiment_verdict{${labels},verdict="better"} 1`));
  const known = effects(after).filter((l) => l.includes('metric="duration"'));
  t.is(known.length, 3);
  t.false(known.some((l) => l.includes("NaN") || l.includes("Inf")));
});
