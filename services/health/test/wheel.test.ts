// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { random } from "../../../loadtest/demo/random.js";
import { eventually } from "../../../testbed/wait.js";
import { STEP_MS, Timed, Wheel } from "../wheel.js";

class Called extends Timed {
  constructor(private readonly call: (t: Called) => void) {
    super();
  }
  due(): void {
    this.call(this);
  }
}

test("each is called once, at its time or a step later, in the order of the steps", (t) => {
  let now = 12_345.6;
  const draw = random(7);
  const wheel = new Wheel(() => now);
  const late: number[] = [];
  let last = 0;
  const all = Array.from({ length: 2000 }, () => {
    const c = new Called(() => {
      late.push(now - c.dueAt);
      t.true(Math.ceil(c.dueAt / STEP_MS) >= last);
      last = Math.ceil(c.dueAt / STEP_MS);
    });
    wheel.set(c, now + draw() * 10_000);
    return c;
  });
  t.is(wheel.waiting, all.length);
  for (let i = 0; i < 5500; i++) {
    now += STEP_MS;
    wheel.turn();
  }
  t.is(late.length, all.length);
  t.true(late.every((ms) => ms >= 0 && ms <= 2 * STEP_MS));
  t.is(wheel.waiting, 0);
});

test("what is set anew counts by its last time, what is cancelled not at all", (t) => {
  let now = 0;
  const wheel = new Wheel(() => now);
  const called: string[] = [];
  const named = (name: string): Called => new Called(() => void called.push(`${name} at ${now}`));
  const moved = named("moved");
  const gone = named("gone");
  wheel.set(moved, 100);
  wheel.set(gone, 100);
  wheel.set(moved, 300);
  wheel.cancel(gone);
  wheel.cancel(gone);
  t.is(wheel.waiting, 1);
  for (now = 0; now < 400; now += 10) wheel.turn();
  t.deepEqual(called, ["moved at 300"]);
});

test("one that is called may set itself again, and cancel another of the same moment", (t) => {
  let now = 0;
  const wheel = new Wheel(() => now);
  let calls = 0;
  const second = new Called(() => t.fail());
  const first = new Called((c) => {
    wheel.cancel(second);
    if (++calls < 3) wheel.set(c, now);
  });
  wheel.set(first, 10);
  wheel.set(second, 10);
  for (now = 10; now < 30; now += STEP_MS) wheel.turn();
  t.is(calls, 3);
  t.is(wheel.waiting, 0);
});

test("after a pause of more than a turn all that was due is called, and what is not due waits", (t) => {
  let now = 0;
  const wheel = new Wheel(() => now);
  let calls = 0;
  for (const at of [5, 1500, 2100, 9000, 60_000, 61_000]) wheel.set(new Called(() => calls++), at);
  now = 60_000;
  wheel.turn();
  t.is(calls, 5);
  now = 61_000;
  wheel.turn();
  t.is(calls, 6);
});

test("by itself it turns when the next is due, and one that is due earlier wakes it earlier", async (t) => {
  const wheel = new Wheel(() => performance.now());
  const called: string[] = [];
  wheel.set(new Called(() => void called.push("far")), performance.now() + 150);
  wheel.set(new Called(() => void called.push("near")), performance.now() + 5);
  await eventually("both were called", async () => called.length === 2);
  t.deepEqual(called, ["near", "far"]);
});
