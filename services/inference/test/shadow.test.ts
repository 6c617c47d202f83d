// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import type { Observation, Output, Policy } from "../policy.js";
import { type Seen, Shadow } from "../shadow.js";

const seen: Seen = {
  observation: { n: 2 } as Observation,
  ids: Uint32Array.of(1, 2),
  stepped: true,
  weights: Float32Array.of(1, 1),
};
const output = (weights: number[], state: number[] = []): Output => ({
  weights: Float32Array.from(weights),
  bias: null,
  kappa: 0,
  state: Float32Array.from(state),
});

function bed(decide: Policy["decide"], stepped = false) {
  const at = { now: 0, cpu: 0 };
  const cuts: string[] = [];
  const policy: Policy = { name: "try", kind: "builtin", note: "", stateSize: 1, stepped, base: null, decide };
  const shadow = new Shadow({
    policy,
    tickMs: 200,
    nowMs: () => at.now,
    cpuMs: () => at.cpu,
    onCut: (why) => cuts.push(why),
  });
  return { at, cuts, shadow, step: () => shadow.step(seen) };
}

test("it decides beside, remembers, and says how far it is from what is in force", async (t) => {
  const states: number[][] = [];
  const { shadow, step } = bed((_o, [state]) => {
    states.push(Array.from(state ?? []));
    return [output([3, 1], [(state?.[0] ?? 0) + 1, 7])];
  });
  await step();
  await step();
  t.deepEqual(Array.from(shadow.latest?.shares ?? []), [0.75, 0.25]);
  t.is(shadow.latest?.distance, 0.25);
  t.deepEqual(states, [
    [0, 0],
    [1, 7],
  ]);
});

test("a policy of longer steps decides at those only", async (t) => {
  let decided = 0;
  const { shadow } = bed(() => (decided++, [output([1, 1])]), true);
  await shadow.step({ ...seen, stepped: false });
  await shadow.step(seen);
  t.is(decided, 1);
});

test("one that fails, or whose output is no weights, is cut off at the third time in a row", async (t) => {
  for (const decide of [
    () => {
      throw new Error("broken");
    },
    () => [output([Number.NaN, 1])],
    () => [output([-1, 1])],
    () => [output([1])],
    () => [{ ...output([1, 1]), bias: Float32Array.of(0, Number.NaN) }],
    () => [output([1, 1], [Number.POSITIVE_INFINITY])],
    () => [],
    () => Promise.reject(new Error("later")),
  ] as Policy["decide"][]) {
    const { cuts, shadow, step } = bed(decide);
    await step();
    await step();
    t.is(shadow.cut, "");
    await step();
    t.regex(cuts[0] ?? "", /failed 3 times in a row/);
    t.is(shadow.latest, null);
  }
});

test("one that is right again in between is not cut off", async (t) => {
  let k = 0;
  const { cuts, step } = bed(() => [output(k++ % 3 < 2 ? [Number.NaN, 1] : [1, 1])]);
  for (let i = 0; i < 30; i++) await step();
  t.deepEqual(cuts, []);
});

test("one that costs more than a hundredth of a core on average is cut off, and a single slow step is not", async (t) => {
  const costly = bed(() => {
    costly.at.cpu += 2.1;
    return [output([1, 1])];
  });
  for (let i = 0; i < 64; i++) await costly.step();
  t.regex(costly.cuts[0] ?? "", /2\.10 ms of CPU a tick, more than 1 % of a core/);
  let k = 0;
  const once = bed(() => {
    once.at.cpu += k++ === 30 ? 50 : 1;
    return [output([1, 1])];
  });
  for (let i = 0; i < 200; i++) await once.step();
  t.deepEqual(once.cuts, []);
});

test("one step that takes longer than a tick is enough", async (t) => {
  const { at, cuts, step } = bed(() => {
    at.cpu += 201;
    return [output([1, 1])];
  });
  await step();
  t.regex(cuts[0] ?? "", /201 ms of CPU, more than a tick/);
});

test("one that never answers holds nobody up and is cut off after five ticks", async (t) => {
  const { at, cuts, shadow, step } = bed(() => new Promise(() => {}));
  void step();
  for (let i = 1; i <= 6; i++) {
    at.now = 200 * i;
    await step();
  }
  t.regex(cuts[0] ?? "", /did not answer for 5 ticks/);
  await step();
  t.is(shadow.steps, 1);
});
