// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { normals } from "../draws.js";
import { Experiment, type ExperimentSpec } from "../experiment.js";
import { type Counts, Measure } from "../measure.js";
import { blocksPerCycle, momentAt } from "../schedule.js";

const T0 = 1_700_000_000_000;
const spec: ExperimentSpec = {
  id: "e1",
  vip: "web",
  candidate: "marl",
  baseline: "kalman",
  seed: 7,
  startedAt: T0,
  blockMs: 10_000,
  share: 0.5,
  deadline: T0 + 3_600_000,
  by: "ann",
  reason: "",
};

test("of each cycle one block is the rarer arm's, at places that seed and time alone decide", (t) => {
  for (const share of [0.5, 0.2, 0.9]) {
    const s = { ...spec, share };
    const per = blocksPerCycle(share);
    const places = new Set<number>();
    for (let cycle = 0; cycle < 200; cycle++) {
      const arms = Array.from({ length: per }, (_, i) => momentAt(s, T0 + (cycle * per + i) * s.blockMs)?.arm);
      const rare = share <= 0.5 ? "candidate" : "baseline";
      t.is(arms.filter((a) => a === rare).length, 1);
      places.add(arms.indexOf(rare));
    }
    t.is(places.size, per, "everywhere within a cycle");
  }
  t.is(momentAt(spec, T0 - 1), null);
});

test("the first third of a block does not count", (t) => {
  t.deepEqual(
    [0, 3000, 3334, 9999].map((ms) => momentAt(spec, T0 + ms)?.counts),
    [false, false, true, true],
  );
});

/** Two load balancers' counts: flows of `ms` each arm, 100 a second each. */
function heard(measure: { hear(of: string, c: Counts, at: number): unknown }, until: number, ms: (at: number) => number): void {
  const at = new Map<string, Counts>();
  for (let now = T0; now <= until; now += 500) {
    for (const of of ["edge1", "edge2"]) {
      const c = at.get(of) ?? { flowUs: 0, ended: 0, ttfbUs: 0, answers: 0 };
      const next = {
        flowUs: c.flowUs + 50 * ms(now) * 1000,
        ended: c.ended + 50,
        ttfbUs: c.ttfbUs + 50 * ms(now) * 500,
        answers: c.answers + 50,
      };
      at.set(of, next);
      measure.hear(of, next, now);
    }
  }
}

test("the means of the arms over all load balancers are what is compared", (t) => {
  const measure = new Measure(spec);
  const pairs: { duration: number | null; ttfb: number | null }[] = [];
  const taking = {
    hear(of: string, c: Counts, at: number): void {
      measure.hear(of, c, at);
      pairs.push(...measure.close(at));
    },
  };
  heard(taking, T0 + 110_500, (at) => (momentAt(spec, at)?.arm === "candidate" ? 80 : 100));
  t.is(pairs.length, 5);
  for (const p of pairs) {
    t.true(Math.abs((p.duration ?? 0) - Math.log(0.8)) < 1e-9);
    t.true(Math.abs((p.ttfb ?? 0) - Math.log(0.8)) < 1e-9);
  }
});

test("counts that fell (servers left, a data plane began anew) and blocks of few flows make no difference", (t) => {
  const measure = new Measure(spec);
  const pairs = [];
  let ended = 0;
  for (let now = T0; now < T0 + 61_000; now += 500) {
    ended = now === T0 + 5000 ? 0 : ended + 1;
    measure.hear("edge1", { flowUs: ended * 1e5, ended, ttfbUs: ended, answers: ended }, now);
    pairs.push(...measure.close(now));
  }
  t.true(pairs.length >= 2);
  t.true(pairs.every((p) => p.duration === null));
});

test("a candidate that is better is found, ends it by itself, and what it kept says the same again", (t) => {
  const draw = normals(5);
  const e = new Experiment(spec);
  heard(e, spec.deadline, (at) => (momentAt(spec, at)?.arm === "candidate" ? 85 : 100) * Math.exp(0.02 * draw()));
  const standing = e.standing();
  t.is(standing.verdict, "better");
  t.true(standing.endedAt < spec.deadline);
  t.true(standing.intervals.duration.high < 0 && standing.intervals.duration.low < -0.15);
  t.regex(standing.why, /^duration -1\d\.\d % \[-\d+\.\d %, -\d+\.\d %\] of \d+ pairs, ttfb/);
  const again = new Experiment(spec);
  for (const pair of e.pairs) again.take(pair, 1);
  t.deepEqual(again.standing().intervals, standing.intervals);
  t.is(again.standing().verdict, "better");
});

test("one that cannot be told apart ends at its deadline; one that is stopped stays stopped", (t) => {
  const draw = normals(6);
  const e = new Experiment({ ...spec, deadline: T0 + 200_000 });
  heard(e, T0 + 201_000, () => 100 * Math.exp(0.2 * draw()));
  t.is(e.standing().verdict, "undecided");
  const s = new Experiment(spec);
  s.end("stopped", "by an operator", T0);
  s.end("tripped", "too late", T0 + 1);
  t.like(s.standing(), { verdict: "stopped", why: "by an operator", endedAt: T0 });
  t.is(s.armAt(T0 + 1), null);
});
