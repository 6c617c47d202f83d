// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { FakeTimers } from "../../../testbed/fake-timers.js";
import { PRIMING, WarmUp } from "../warm-up.js";

/** An inference that answers a warm-up request after a millisecond, and a frame at once. */
function setup(tickMs: number, open = () => true, afterMs = 0) {
  const timers = new FakeTimers();
  const at: number[] = [];
  const r: WarmUp = new WarmUp({
    tickMs,
    timers,
    afterMs,
    send() {
      if (!open()) return false;
      at.push(timers.time % tickMs);
      timers.setTimeout(() => r.done(), 1);
      return true;
    },
  });
  const ticks = (n: number): number[] => {
    at.length = 0;
    for (let i = 0; i < n; i++) {
      r.frame();
      r.answered();
      timers.advance(tickMs);
    }
    return [...at];
  };
  return { r, timers, ticks };
}

test("after a stream opened warm-up requests follow each other, then there is one shortly before each frame", (t) => {
  const { r, ticks } = setup(200);
  const first = ticks(1).length;
  t.true(first > 50 && first <= 100, String(first));
  ticks(30);
  const sent = r.sent;
  t.true(sent >= PRIMING && sent < PRIMING + 31, String(sent));
  t.deepEqual(ticks(3), [197, 197, 197]);
  r.restart();
  t.true(ticks(1).length > 50);
});

test("at short ticks the frames themselves are enough once the code is compiled", (t) => {
  const { ticks } = setup(20);
  t.true(ticks(1).length > 3);
  ticks(PRIMING);
  t.deepEqual(ticks(50), []);
});

test("none is sent while a frame waits for its answer", (t) => {
  const { r, timers, ticks } = setup(200);
  ticks(1);
  const { sent } = r;
  r.frame();
  timers.advance(200);
  t.is(r.sent, sent);
});

test("an inference that answers none is asked again after ten seconds, not before", (t) => {
  const timers = new FakeTimers();
  let sent = 0;
  const r = new WarmUp({ tickMs: 200, timers, afterMs: 0, send: () => sent++ >= 0 });
  for (let i = 0; i <= 50; i++) {
    r.frame();
    r.answered();
    timers.advance(200);
  }
  t.is(sent, 1);
  r.frame();
  r.answered();
  timers.advance(200);
  t.is(sent, 2);
});

test("without a stream it is tried again with the next frame", (t) => {
  let open = false;
  const { ticks } = setup(200, () => open);
  t.deepEqual(ticks(2), []);
  open = true;
  t.true(ticks(1).length > 50);
});

test("none is sent while the host's other processes start", (t) => {
  const { ticks } = setup(200, () => true, 3000);
  t.deepEqual(ticks(15), []);
  t.true(ticks(1).length > 50);
});
