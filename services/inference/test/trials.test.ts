// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import type { Experiment } from "../../common/trial/experiment.js";
import type { GuardCounts, Step } from "../../common/trial/guardrail.js";
import { Trials } from "../trials.js";

const T0 = 1_700_000_000_000;
const spec = {
  id: "e1",
  vip: "web",
  candidate: "marl",
  baseline: "static",
  seed: 1,
  startedAt: T0,
  blockMs: 10_000,
  share: 0.5,
  deadline: T0 + 3_600_000,
  by: "ann",
  reason: "",
};

function bed(t: ExecutionContext, folder = mkdtempSync(path.join(tmpdir(), "marllb-trials-"))) {
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const steps: Step[] = [];
  const ended: Experiment[] = [];
  const unsaved: string[] = [];
  const trials = new Trials({
    folder,
    guardShare: 0,
    guardLearnS: 300,
    has: (p) => p !== "unheard-of",
    learned: (p) => p === "marl",
    onStep: (_vip, s) => steps.push(s),
    onEnd: (e) => ended.push(e),
    onUnsaved: (e) => unsaved.push(e.spec.id),
  });
  return { trials, steps, ended, unsaved, folder };
}

/** Half a second of traffic each: 250 flows, `flows` in progress. */
function traffic(trials: Trials, wanted: string) {
  const c: GuardCounts = { flowUs: 0, newFlows: 0, ended: 0, ttfbUs: 0, answers: 0 };
  let now = T0;
  return {
    now: () => now,
    run(seconds: number, flows: (s: number) => number): void {
      for (const end = now + 1000 * seconds; now < end; now += 500) {
        c.flowUs += flows((now - T0) / 1000) * 500_000;
        c.newFlows += 250;
        c.ended += 250;
        c.ttfbUs += 250 * 1000;
        c.answers += 250;
        trials.hear("web", "edge1", wanted, now, () => ({ ...c }));
      }
    },
  };
}

test("without trials the ordered policy decides alone; a shadow goes along, unless it is the one in force", (t) => {
  const { trials } = bed(t);
  t.deepEqual(trials.turn("web", "edge1", "marl", T0), { policy: "marl", of: "order", shadow: "" });
  t.is(trials.setShadow("web", "kalman"), "");
  t.deepEqual(trials.turn("web", "edge1", "marl", T0), { policy: "marl", of: "order", shadow: "kalman" });
  t.deepEqual(trials.turn("web", "edge1", "kalman", T0), { policy: "kalman", of: "order", shadow: "" });
  t.is(trials.setShadow("web", ""), "kalman");
});

test("in an experiment the arms take turns, and who waits goes along so that it is warm", (t) => {
  const { trials } = bed(t);
  trials.start(spec);
  t.throws(() => trials.start({ ...spec, id: "e2" }), { message: /runs already on web: e1/ });
  t.is(trials.start(spec).spec.id, "e1", "told twice");
  const turns = Array.from({ length: 40 }, (_, i) => trials.turn("web", "edge1", "kalman", T0 + 10_000 * i));
  t.is(turns.filter((x) => x.policy === "marl").length, 20);
  for (const x of turns) t.deepEqual([x.policy, x.shadow, x.of].sort(), ["experiment", "marl", "static"]);
  trials.stop("web", "", T0);
  t.deepEqual(trials.turn("web", "edge1", "kalman", T0), { policy: "kalman", of: "order", shadow: "" });
  t.is(trials.stop("web", "", T0).standing().verdict, "stopped", "told twice");
  t.throws(() => trials.stop("api", "", T0), { message: /no experiment runs/ });
});

test("another policy that is ordered ends the experiment and decides at once", (t) => {
  const { trials, ended } = bed(t);
  trials.start(spec);
  t.not(trials.turn("web", "edge1", "kalman", T0).policy, "kalman");
  t.not(trials.turn("web", "edge2", "kalman", T0).policy, "kalman");
  t.deepEqual(trials.turn("web", "edge1", "uniform", T0 + 1), { policy: "uniform", of: "order", shadow: "" });
  t.deepEqual(
    trials.turn("web", "edge2", "kalman", T0 + 1),
    { policy: "kalman", of: "order", shadow: "" },
    "until it hears of it",
  );
  t.like(ended[0]?.standing(), { verdict: "stopped", why: "policy uniform was ordered" });
});

test("sudden harm: a learned policy steps down to kalman, and an experiment that runs is over; a heuristic is let be", (t) => {
  const { trials, steps, ended } = bed(t);
  const world = traffic(trials, "marl");
  world.run(400, () => 50);
  trials.start({ ...spec, startedAt: world.now(), deadline: world.now() + 1e7 });
  let more = 0;
  const turns = new Set<string>();
  world.run(90, () => {
    const { policy, of } = trials.turn("web", "edge1", "marl", world.now());
    if (of === "suspicion") turns.add(policy);
    more = policy === "marl" ? more + 30 : Math.max(0, more - 30);
    return 50 + more;
  });
  t.deepEqual([...turns].sort(), ["kalman", "marl"], "the arm that is suspected and the reference, until it is known");
  t.is(steps[0]?.kind, "suspected");
  t.is(steps.at(-1)?.kind, "down");
  t.is(trials.guardrailAt("web", world.now())?.state, "down");
  t.deepEqual(
    ended.map((e) => e.standing().verdict),
    ["tripped"],
  );
  t.deepEqual(trials.turn("web", "edge1", "marl", world.now()), { policy: "kalman", of: "guardrail", shadow: "marl" });
  t.deepEqual(trials.turn("web", "edge1", "static", world.now()), { policy: "static", of: "order", shadow: "" });
  const calm = bed(t);
  const other = traffic(calm.trials, "uniform");
  other.run(400, () => 50);
  other.run(10, (s) => 50 + 60 * (s - 400));
  t.deepEqual(calm.steps, []);
});

test("a replica that is started again goes on with the experiment from what it kept; a damaged file is said and passed over", (t) => {
  const { trials, folder } = bed(t);
  trials.start(spec);
  const world = traffic(trials, "kalman");
  world.run(100, () => 50);
  const pairs = trials.of("web")?.experiment?.pairs ?? [];
  t.true(pairs.length >= 3);
  writeFileSync(path.join(folder, "api-e2.json"), "{");
  const again = bed(t, folder);
  const failed: string[] = [];
  again.trials.restore(world.now(), (file) => failed.push(file));
  t.deepEqual(again.trials.of("web")?.experiment?.pairs, pairs);
  t.true(again.trials.of("web")?.experiment?.running);
  t.deepEqual(failed, ["api-e2.json"]);
  again.trials.stop("web", "enough", world.now());
  const third = bed(t, folder);
  third.trials.restore(world.now(), () => {});
  t.is(third.trials.of("web"), undefined);
  t.deepEqual(readdirSync(folder).sort(), ["api-e2.json", "web-e1.json"]);
});

test("a disk that takes nothing costs the experiment's file: it is measured on, and can be stopped; none is started", (t) => {
  const { trials, ended, unsaved, folder } = bed(t);
  trials.start(spec);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "no folder");
  const world = traffic(trials, "kalman");
  world.run(100, () => 50);
  t.true((trials.of("web")?.experiment?.pairs.length ?? 0) > 0);
  t.is(unsaved.length, trials.of("web")?.experiment?.pairs.length ?? -1);
  trials.stop("web", "enough", world.now());
  t.is(ended.length, 1);
  t.throws(() => trials.start({ ...spec, id: "e2" }));
  t.deepEqual(trials.turn("web", "edge1", "kalman", world.now()), { policy: "kalman", of: "order", shadow: "" });
});

test("more VIPs than are watched are decided as ordered", (t) => {
  const { trials } = bed(t);
  const none = { flowUs: 0, newFlows: 0, ended: 0, ttfbUs: 0, answers: 0 };
  for (let i = 0; i < 300; i++) trials.hear(`vip${i}`, "edge1", "marl", T0, () => none);
  t.deepEqual(trials.turn("vip299", "edge1", "marl", T0), { policy: "marl", of: "order", shadow: "" });
});
