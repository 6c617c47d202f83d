// SPDX-License-Identifier: Apache-2.0
import test, { type ExecutionContext } from "ava";
import { Checker } from "../checker.js";
import type { CheckResult } from "../verdict.js";
import { Wheel } from "../wheel.js";
import { plan } from "./plans.js";

const [check] = plan("10.0.0.1:80", { interval_ms: 50, timeout_ms: 50, jitter: 0 }).checks as [never];
const good: CheckResult = { ok: true, reason: "", rttMs: 0 };

function bed(t: ExecutionContext, onResult: (checker: Checker) => void) {
  const time = { now: 0 };
  const now = (): number => time.now;
  const wheel = new Wheel(now);
  const seen = { begun: 0, stopped: 0, late: [] as number[] };
  const ends: ((r: CheckResult) => void)[] = [];
  const checker: Checker = new Checker({
    wheel,
    check(_check, end) {
      seen.begun++;
      ends.push(end);
      return () => void seen.stopped++;
    },
    onResult: () => onResult(checker),
    onStart: (ms) => void seen.late.push(ms),
    now,
    random: () => 0,
  });
  t.teardown(() => checker.stop());
  const pass = (ms: number): void => {
    for (const end = time.now + ms; time.now < end; ) {
      time.now++;
      wheel.turn();
    }
  };
  return { checker, seen, ends, pass, time };
}

test("a check runs again and again until it is removed, once however often it was added", (t) => {
  let results = 0;
  const { checker, seen, ends, pass } = bed(t, (c) => {
    if (++results === 3) c.remove((check as { key: string }).key);
  });
  checker.add(check);
  checker.add(check);
  t.is(checker.size, 1);
  for (const begun of [1, 2, 3]) {
    pass(60);
    pass(500); // a slow check does not begin anew before it ended
    t.is(seen.begun, begun);
    ends.pop()?.(good);
  }
  pass(500);
  t.deepEqual([results, seen.begun, checker.size], [3, 3, 0]);
});

test("the period is that of a grid: a slow answer does not make it longer, and lateness counts from it", (t) => {
  const { checker, seen, ends, pass } = bed(t, () => {});
  checker.add(check);
  for (let i = 0; i < 20; i++) {
    pass(30);
    ends.pop()?.(good);
    pass(20);
  }
  t.is(seen.begun, 20);
  t.true(seen.late.every((ms) => ms >= 0 && ms <= 4));
});

test("a check that is removed while it runs is ended; a result that comes all the same is nobody's", (t) => {
  const { checker, seen, ends, pass } = bed(t, () => t.fail());
  checker.add(check);
  pass(10);
  checker.stop();
  t.is(seen.stopped, 1);
  ends[0]?.(good);
  checker.add(check);
  pass(10);
  t.is(seen.begun, 2);
});
