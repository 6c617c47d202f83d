// SPDX-License-Identifier: Apache-2.0
// Several replicas, each with the load balancers that it steers, and what they tell each other: one verdict. In virtual time.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import type { ShareExperimentResponse__Output } from "../../../gen/marllb/v1/ShareExperimentResponse.js";
import { normals } from "../../common/trial/draws.js";
import { Experiment } from "../../common/trial/experiment.js";
import type { GuardCounts } from "../../common/trial/guardrail.js";
import { momentAt } from "../../common/trial/schedule.js";
import { shareMessage, shareOf } from "../experiment-messages.js";
import { type Share, Trials } from "../trials.js";

const T0 = 1_700_000_000_000;
const spec = {
  ...{ id: "e1", vip: "web", candidate: "marl", baseline: "static", seed: 1, share: 0.5 },
  ...{ startedAt: T0, blockMs: 10_000, deadline: T0 + 7_200_000, by: "ann", reason: "" },
};

interface Replica {
  name: string;
  trials: Trials;
  lbs: string[];
  ended: number;
}

/** Each load balancer's flows last as `ms` says; with its own noise. Replicas hear their own twice a second and each other once. */
class Pool {
  now = T0;
  readonly replicas: Replica[] = [];
  /** Pairs of names that do not reach each other. */
  readonly cut = new Set<string>();
  readonly #counts = new Map<string, GuardCounts>();
  readonly #draw = normals(3);

  constructor(
    private readonly t: ExecutionContext,
    private readonly effect: number,
  ) {}

  add(name: string, lbs: string[], folder = mkdtempSync(path.join(tmpdir(), "marllb-sharing-"))): Replica {
    this.t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const trials = new Trials({
      ...{ folder, guardShare: 0, guardLearnS: 300, has: () => true, learned: () => false, onStep: () => {} },
      onEnd: () => void r.ended++,
      onUnsaved: () => {},
    });
    const r: Replica = { name, trials, lbs, ended: 0 };
    this.replicas.push(r);
    return r;
  }

  run(seconds: number): void {
    for (const end = this.now + 1000 * seconds; this.now < end; this.now += 500) {
      for (const r of this.replicas) for (const lb of r.lbs) this.#hear(r, lb);
      if (this.now % 1000 === 0) for (const r of this.replicas) this.#share(r);
    }
  }

  #hear({ trials }: Replica, lb: string): void {
    const c = this.#counts.get(lb) ?? { flowUs: 0, newFlows: 0, ended: 0, ttfbUs: 0, answers: 0 };
    this.#counts.set(lb, c);
    const candidate = momentAt(spec, this.now)?.arm === "candidate";
    const ms = 100 * (candidate ? 1 + this.effect : 1) * Math.exp(0.1 * this.#draw());
    c.flowUs += 100 * ms * 1000;
    c.newFlows += 100;
    c.ended += 100;
    c.ttfbUs += 50 * ms * 1000;
    c.answers += 100;
    trials.hear("web", lb, "static", this.now, () => ({ ...c }));
  }

  #share(r: Replica): void {
    const from = r.trials.wantsFrom("web");
    const reached = this.replicas.filter((o) => o !== r && !this.cut.has(`${o.name} ${r.name}`));
    const shares = reached.flatMap((o): Share[] => {
      const message = shareMessage(o.name, o.trials.of("web")?.experiment ?? null, from);
      const share = shareOf({ experiment: null, blocks: [], given: [], ...message } as ShareExperimentResponse__Output, from);
      return share ? [share] : [];
    });
    r.trials.others("web", r.name, shares, this.now);
  }
}

const experimentOf = ({ trials }: Replica): Experiment => trials.of("web")?.experiment as Experiment;

test("two replicas make one list of pairs, of all load balancers' counts, and say one verdict at once", (t) => {
  const pool = new Pool(t, -0.15);
  const a = pool.add("a", ["edge1"]);
  const b = pool.add("b", ["edge2", "edge3"]);
  for (const r of [a, b]) r.trials.start(spec);
  pool.run(200);
  t.true(experimentOf(a).pairs.length >= 7);
  t.deepEqual(experimentOf(b).pairs, experimentOf(a).pairs);
  for (let k = 0; k < 60 && experimentOf(a).running; k++) pool.run(60);
  pool.run(3);
  t.is(experimentOf(a).standing().verdict, "better");
  t.deepEqual({ ...experimentOf(b).standing(), endedAt: 0 }, { ...experimentOf(a).standing(), endedAt: 0 });
  t.deepEqual([a.ended, b.ended], [1, 1]);
  const alone = new Experiment(spec);
  for (const p of experimentOf(b).pairs) alone.take(p, 1);
  t.is(alone.standing().verdict, "better", "what one kept says the same again");
});

test("the pairs are those that one replica would make that hears every load balancer", (t) => {
  const several = new Pool(t, 0);
  several.add("a", ["edge1"]).trials.start(spec);
  several.add("b", ["edge2"]).trials.start(spec);
  several.run(120);
  const one = new Pool(t, 0);
  one.add("a", ["edge1", "edge2"]).trials.start(spec);
  one.run(120);
  const [s, o] = [several, one].map((p) => experimentOf(p.replicas[0] as Replica).pairs);
  t.true((s?.length ?? 0) >= 4);
  t.is(s?.length, o?.length);
  for (const [i, p] of (s ?? []).entries()) t.true(Math.abs((p.duration ?? 1) - (o?.[i]?.duration ?? 2)) < 1e-12);
});

test("a replica that comes later learns of the experiment, and the one that has the pairs leads; when it goes, the other goes on", (t) => {
  const pool = new Pool(t, 0);
  const z = pool.add("z", ["edge1"]);
  z.trials.start(spec);
  pool.run(100);
  const a = pool.add("a", ["edge2"]);
  pool.run(3);
  t.deepEqual(experimentOf(a).pairs, experimentOf(z).pairs);
  pool.run(97);
  t.deepEqual(experimentOf(a).pairs, experimentOf(z).pairs);
  const before = experimentOf(a).pairs.length;
  pool.replicas.splice(0, 1);
  a.lbs.push("edge1");
  pool.run(100);
  t.true(experimentOf(a).pairs.length >= before + 4);
  t.deepEqual(
    experimentOf(a).pairs.map((p) => p.cycle),
    experimentOf(a).pairs.map((_, i) => i),
  );
});

test("what ends it at one ends it at all: an order, the deadline", (t) => {
  const pool = new Pool(t, 0);
  const a = pool.add("a", ["edge1"]);
  const b = pool.add("b", ["edge2"]);
  a.trials.start(spec);
  pool.run(30);
  a.trials.stop("web", "by ann: enough", pool.now);
  pool.run(3);
  t.like(experimentOf(b).standing(), { verdict: "stopped", why: "by ann: enough" });
  t.is(a.trials.stop("web", "again", pool.now).standing().why, "by ann: enough");
});

test("replicas that do not reach each other measure on, and agree again once they do", (t) => {
  const pool = new Pool(t, 0);
  const a = pool.add("a", ["edge1"]);
  const b = pool.add("b", ["edge2"]);
  for (const r of [a, b]) r.trials.start(spec);
  pool.run(100);
  pool.cut.add("a b").add("b a");
  pool.run(100);
  t.notDeepEqual(experimentOf(a).pairs, experimentOf(b).pairs);
  pool.cut.clear();
  pool.run(5);
  t.deepEqual(experimentOf(a).pairs, experimentOf(b).pairs);
  pool.run(100);
  t.deepEqual(experimentOf(a).pairs, experimentOf(b).pairs);
});

test("a load balancer that moves to another replica and back is counted once", (t) => {
  const pool = new Pool(t, 0);
  const a = pool.add("a", ["edge1"]);
  const b = pool.add("b", []);
  for (const r of [a, b]) r.trials.start(spec);
  pool.run(4);
  const flows = (r: Replica): number => experimentOf(r).blocks.reduce((n, x) => n + x.ended, 0);
  [a.lbs, b.lbs] = [[], ["edge1"]];
  pool.run(3);
  [a.lbs, b.lbs] = [["edge1"], []];
  pool.run(3);
  t.true(flows(a) + flows(b) <= 200 * 6.7, `${flows(a)} and ${flows(b)} of what came in 6.67 s at 200 a second`);
});

test("an experiment with a policy that a replica lacks is not taken over", (t) => {
  const pool = new Pool(t, 0);
  const a = pool.add("a", ["edge1"]);
  a.trials.start({ ...spec, candidate: "new-model" });
  const folder = mkdtempSync(path.join(tmpdir(), "marllb-sharing-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const trials = new Trials({
    ...{ folder, guardShare: 0, guardLearnS: 300, has: (p: string) => p !== "new-model", learned: () => false },
    ...{ onStep: () => {}, onEnd: () => {}, onUnsaved: () => {} },
  });
  pool.replicas.push({ name: "b", trials, lbs: ["edge2"], ended: 0 });
  pool.run(5);
  t.is(trials.of("web")?.experiment ?? null, null);
});
