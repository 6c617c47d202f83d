// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { PsQueue } from "../ps-queue.js";
import { exponential, random } from "../random.js";

/** Runs jobs [arrival, size] on virtual time; returns the times of their ends. */
function ends(cores: number, jobs: [number, number][]): number[] {
  const queue = new PsQueue(cores);
  const out: number[] = [];
  let now = 0;
  const until = (ms: number): void => {
    for (let next = queue.nextMs(); next !== undefined && next <= ms; next = queue.nextMs()) {
      now = next;
      queue.advance(now);
    }
    now = ms;
  };
  jobs.forEach(([at, size], i) => {
    until(at);
    queue.add(at, size, () => (out[i] = now));
  });
  until(Number.MAX_SAFE_INTEGER);
  return out.map((t) => Math.round(t * 1e6) / 1e6);
}

test("one job runs at full speed, two on one core at half", (t) => {
  t.deepEqual(ends(1, [[0, 100]]), [100]);
  t.deepEqual(
    ends(1, [
      [0, 100],
      [0, 100],
    ]),
    [200, 200],
  );
  t.deepEqual(
    ends(2, [
      [0, 100],
      [0, 100],
    ]),
    [100, 100],
  );
});

test("a job that comes later shares from then on", (t) => {
  // 50 alone, then both at half speed: the first needs 100 more, the second has 50 left when it ends.
  t.deepEqual(
    ends(1, [
      [0, 100],
      [50, 100],
    ]),
    [150, 200],
  );
  // Three on two cores: 2/3 each.
  t.deepEqual(
    ends(2, [
      [0, 100],
      [0, 100],
      [0, 100],
    ]),
    [150, 150, 150],
  );
});

test("a cancelled job gives its share back, a late call to advance changes nothing", (t) => {
  const queue = new PsQueue(1);
  const order: string[] = [];
  const a = queue.add(0, 100, () => order.push("a"));
  queue.add(0, 100, () => order.push("b"));
  queue.add(0, 300, () => order.push("c"));
  queue.cancel(30, a); // b and c have 10 each by now
  t.is(queue.length, 2);
  t.is(queue.nextMs(), 30 + 2 * 90);
  queue.advance(10_000); // passes both ends at once
  t.deepEqual(order, ["b", "c"]);
  queue.cancel(10_000, a);
  t.is(queue.length, 0);
});

test("a slower server takes longer from that moment on", (t) => {
  const queue = new PsQueue(1);
  queue.add(0, 100, () => {});
  queue.setSpeed(50, 0.5);
  t.is(queue.nextMs(), 150);
  t.throws(() => queue.setSpeed(60, 0), { message: /positive/ });
});

test("M/M/1 processor sharing: the mean sojourn is 1 / (1 - load)", (t) => {
  const uniform = random(7);
  const jobs: [number, number][] = [];
  let at = 0;
  for (let i = 0; i < 60_000; i++) {
    at += exponential(uniform, 2);
    jobs.push([at, exponential(uniform, 1)]);
  }
  const done = ends(1, jobs);
  const mean = done.reduce((sum, end, i) => sum + end - (jobs[i] as [number, number])[0], 0) / done.length;
  t.true(Math.abs(mean - 2) < 0.1, `mean ${mean}`);
});
