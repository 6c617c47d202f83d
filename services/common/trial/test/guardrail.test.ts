// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { normals, uniforms } from "../draws.js";
import { type GuardCounts, Guardrail, type Step } from "../guardrail.js";
import { Queues } from "./queues.js";

const T0 = 1_700_000_000_000;
const STEP_MS = 500;

/** Traffic as counts: `flows` in progress and `rate` a second, by seconds since the start. */
function world(guard: Guardrail, seed = 1) {
  const c: GuardCounts = { flowUs: 0, newFlows: 0, ended: 0, ttfbUs: 0, answers: 0 };
  const draw = normals(seed);
  let now = T0;
  const steps: (Step & { s: number })[] = [];
  const it = {
    steps,
    /** What was decided: who ruled while it was found out is left out. */
    verdicts: () => steps.filter((s) => s.kind === "down" || s.kind === "again"),
    now: () => now,
    run(seconds: number, flows: (s: number) => number, rate: (s: number) => number, rules = true): void {
      for (const end = now + seconds * 1000; now < end; now += STEP_MS) {
        const s = (now - T0) / 1000;
        const n = Math.round((rate(s) * STEP_MS) / 1000 + Math.sqrt((rate(s) * STEP_MS) / 1000) * draw());
        c.newFlows += Math.max(0, n);
        c.ended += Math.max(0, n);
        c.flowUs += Math.max(0, flows(s) * (1 + 0.1 * draw())) * STEP_MS * 1000;
        for (const step of guard.hear("edge1", { ...c }, now, rules)) steps.push({ ...step, s });
      }
    },
    /** 500 flows come a second, and 50 are in progress. */
    usual: (seconds: number): void =>
      it.run(
        seconds,
        () => 50,
        () => 500,
      ),
  };
  return it;
}
const NO_SHARE = { share: 0, blockMs: 10_000, seed: 1, learnS: 300 };

/** Flows pile up while the policy rules, and become fewer while the reference does. */
function pile(guard: Guardrail, w: ReturnType<typeof world>, least: () => number = () => 50): (s: number) => number {
  let more = 0;
  return () => {
    more = guard.referenceAt(w.now()) ? Math.max(0, more - 20) : more + 20;
    return least() + more;
  };
}

test("flows that pile up though no more come bring the reference within seconds; what comes back with the policy takes it out of force, and it says what it saw", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  w.usual(700);
  t.deepEqual(w.steps, []);
  const flows = pile(guard, w);
  w.run(8, flows, () => 500);
  t.true(guard.referenceAt(w.now()) && guard.suspects);
  t.deepEqual(
    w.steps.map((s) => s.kind),
    ["suspected", "withdrawn"],
  );
  t.like(guard.now(w.now()), { state: "suspected", evidence: w.steps[0]?.evidence ?? "-", trials: 7 });
  w.run(40, flows, () => 500);
  const down = w.steps.at(-1);
  t.is(down?.kind, "down");
  t.regex(
    down?.evidence ?? "",
    /for 3 s flows stay \d+ ms at \d+ new ones a second; 1\d\d ms at \d+ in the ten minutes before; in (4 of 4|6 of 7) trials .* came back with it, \d+ ms of stay; .*10 minutes/,
  );
  t.true(guard.down(w.now()) && guard.referenceAt(w.now()) && !guard.suspects);
  t.like(guard.now(w.now()), { state: "down", evidence: down?.evidence ?? "-", untilMs: (down?.at ?? 0) + 600_000 });
});

test("while it is found out each turn is a step that says what was measured under who ruled before, at the time of the turn", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  t.is(guard.now(w.now()).state, "learning");
  w.usual(700);
  t.is(guard.now(w.now()).state, "watching");
  w.run(48, pile(guard, w), () => 500);
  const turns = w.steps.filter((s) => s.kind === "withdrawn" || s.kind === "reintroduced");
  // Reference first; then one each of a pair.
  t.true(turns.length >= 5 && turns.length <= 15, `${turns.length}`);
  turns.forEach((s, i) => {
    t.is(s.kind, i % 2 === 0 ? "withdrawn" : "reintroduced");
    t.is((s.at - (turns[0]?.at ?? 0)) % 4000, 0);
  });
  t.regex(turns[0]?.evidence ?? "", /the reference rules, to see whether it goes with the policy/);
  t.regex(turns[1]?.evidence ?? "", /the policy rules, trial \d; a stay of \d+ ms under the reference before/);
});

test("where flows stay longer whoever rules, the policy is cleared, goes on, and is suspected of the same three times at most", (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const guard = new Guardrail(NO_SHARE);
    const w = world(guard, seed);
    w.usual(700);
    let reference = 0;
    w.run(
      560,
      () => {
        if (guard.referenceAt(w.now())) reference += STEP_MS / 1000;
        return 200;
      },
      () => 500,
    );
    t.deepEqual(w.verdicts(), []);
    t.is(w.steps.at(-1)?.kind, "cleared");
    t.true(w.steps.filter((s) => s.kind === "suspected").length <= 3);
    t.regex(
      w.steps.at(-1)?.evidence ?? "",
      /not shown to be the policy: in trial \d the stay grew -?\d+ ms more .* \d+ ms would matter/,
    );
    t.true(reference > 0 && reference <= 3 * (4 + 7 * 4), `${reference} s`);
    t.false(guard.suspects);
  }
});

test("a policy that stepped down stays down at who watches next, and for twice as long the time after; what is over is not recalled", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  t.is(guard.memory(w.now()), null);
  w.usual(700);
  w.run(60, pile(guard, w), () => 500);
  const memory = guard.memory(w.now());
  t.truthy(memory);
  const next = new Guardrail(NO_SHARE);
  t.like(next.recall(memory as never, w.now()), [{ kind: "down", evidence: memory?.evidence ?? "-" }]);
  t.deepEqual(next.recall(memory as never, w.now()), [], "told twice");
  t.deepEqual(next.memory(w.now()), memory);
  t.true(next.down(w.now()));
  t.false(next.down(memory?.downUntil ?? 0));
  t.deepEqual(new Guardrail(NO_SHARE).recall(memory as never, memory?.downUntil ?? 0), []);
  const far = new Guardrail(NO_SHARE);
  far.recall({ downUntil: w.now() + 1e12, nextMs: 1e12, evidence: "" }, w.now());
  t.false(far.down(w.now() + 86_400_000), "a day at most");
});

test("a stall of the machine in one trial does not clear a policy that does harm; and what cleared it once is not usual at once", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  w.usual(700);
  const flows = pile(guard, w);
  let stalled = 0;
  // In the third trial flows are as many in the policy's block as they were: it says nothing.
  w.run(
    100,
    (s) => {
      const now = flows(s);
      if (guard.now(w.now()).trial !== 3 || !guard.suspects) return now;
      stalled++;
      return guard.referenceAt(w.now()) ? now + 400 : now;
    },
    () => 500,
  );
  t.true(stalled > 10);
  t.deepEqual(
    w.verdicts().map((s) => s.kind),
    ["down"],
  );
  t.regex(w.verdicts()[0]?.evidence ?? "", /in 6 of 7 trials/);
});

test("queues that the policy leaves do not clear it: harm on a machine that stalls is withdrawn in seconds and out of force in minutes; none is blamed where there is none", (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    for (const harmful of [true, false]) {
      const guard = new Guardrail({ ...NO_SHARE, learnS: 30 });
      const queues = new Queues(uniforms(seed));
      // The order of the blocks is drawn from the time.
      let at = T0 + seed * 1_000_000;
      const run = (seconds: number): void => {
        for (const end = at + seconds * 1000; at < end; at += STEP_MS)
          guard.hear("edge1", queues.step(STEP_MS, guard.referenceAt(at)), at);
      };
      run(50);
      queues.harmful = harmful;
      run(30);
      if (harmful)
        t.true(
          guard.steps.some((s) => s.kind === "withdrawn"),
          `seed ${seed}`,
        );
      run(270);
      t.is(guard.down(at), harmful, `seed ${seed}`);
    }
  }
});

test("stays that are long for good become usual when the policy was cleared of them three times", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  w.usual(700);
  w.run(
    3600,
    () => 200,
    () => 500,
  );
  const cleared = w.steps.filter((s) => s.kind === "cleared").map((s) => s.s);
  t.is(cleared.length, 3);
  t.true((cleared[1] ?? 0) - (cleared[0] ?? 0) >= 120 && (cleared[2] ?? 0) - (cleared[1] ?? 0) >= 240);
  t.deepEqual(w.verdicts(), []);
  t.true((guard.now(w.now()).usualMs ?? 0) > 300);
});

test("an order of another policy ends a suspicion", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  w.usual(700);
  w.run(8, pile(guard, w), () => 500);
  t.true(guard.suspects);
  t.like(guard.acquit(w.now(), "policy kalman was ordered"), [{ kind: "cleared", evidence: "policy kalman was ordered" }]);
  t.false(guard.suspects || guard.referenceAt(w.now()));
  t.deepEqual(guard.acquit(w.now(), "again"), []);
});

test("what happens while something else rules is not blamed on the policy", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  w.usual(700);
  w.run(
    20,
    () => 200,
    () => 500,
    false,
  );
  t.false(guard.suspects);
});

test("where stays vary much by themselves, what is usual there trips nothing; what goes on growing does", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  // Waves of a minute, between a half and three times the middle: 1.5 times the mean lasts for many seconds in each.
  const wave = (s: number): number => 50 * Math.exp(0.9 * Math.sin((2 * Math.PI * s) / 60));
  w.run(3000, wave, () => 500);
  t.deepEqual(w.steps, []);
  t.false(guard.suspects);
  const more = pile(guard, w, () => 0);
  w.run(
    200,
    (s) => wave(s) + 10 * more(s),
    () => 500,
  );
  t.is(w.verdicts().length, 1);
});

test("a step ends before its time where somebody says so, and what is measured begins anew", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  t.deepEqual(guard.resume(w.now(), "early"), []);
  w.usual(700);
  w.run(8, pile(guard, w), () => 500);
  t.like(guard.resume(w.now(), "by ann: a backup ran"), [{ kind: "cleared", evidence: "by ann: a backup ran" }]);
  w.usual(700);
  w.run(60, pile(guard, w), () => 500);
  t.true(guard.down(w.now()));
  t.like(guard.resume(w.now(), "by ann: the database was slow"), [{ kind: "again", evidence: "by ann: the database was slow" }]);
  t.false(guard.down(w.now()));
  t.is(guard.steps.at(-1)?.kind, "again");
});

test("more flows because more come trip nothing; neither does a quick peak, nor anything in the first minutes", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  w.run(
    100,
    (s) => (s > 50 ? 500 : 50),
    () => 500,
  );
  w.usual(700);
  w.run(
    60,
    () => 150,
    () => 1200,
  );
  w.run(
    2,
    () => 200,
    () => 500,
  );
  w.usual(60);
  t.false(guard.suspects);
  t.deepEqual(w.steps, []);
});

test("it tries again after ten minutes, then after twenty, and a day of good conduct forgives", (t) => {
  const guard = new Guardrail(NO_SHARE);
  const w = world(guard);
  const harm = (): void => {
    w.usual(700);
    w.run(60, pile(guard, w), () => 500);
  };
  harm();
  w.usual(610);
  harm();
  w.usual(1210);
  const [first, again, second, third] = w.verdicts();
  t.deepEqual(
    w.verdicts().map((s) => s.kind),
    ["down", "again", "down", "again"],
  );
  t.is(Math.round(((again?.at ?? 0) - (first?.at ?? 0)) / 1000), 600);
  t.is(Math.round(((third?.at ?? 0) - (second?.at ?? 0)) / 1000), 1200);
  w.usual(86_400);
  harm();
  t.regex(w.steps.at(-1)?.evidence ?? "", /rules for 10 minutes/);
});

test("a policy that is a little worse for ever is found by the standing comparison", (t) => {
  const guard = new Guardrail({ ...NO_SHARE, share: 0.2, seed: 3 });
  const w = world(guard);
  w.run(
    20_000,
    () => (guard.referenceAt(w.now()) ? 50 : 65),
    () => 500,
  );
  t.true(w.verdicts().length >= 1);
  t.regex(w.verdicts()[0]?.evidence ?? "", /flows stay \+\d+\.\d % longer than under the reference, \[\+\d+/);
});

test("a policy that is as good as the reference stays", (t) => {
  const guard = new Guardrail({ ...NO_SHARE, share: 0.2, seed: 3 });
  const w = world(guard, 9);
  w.usual(20_000);
  t.deepEqual(w.steps, []);
});
