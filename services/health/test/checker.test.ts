// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { Checker } from "../checker.js";
import type { CheckResult } from "../verdict.js";
import { plan } from "./plans.js";

const [check] = plan("10.0.0.1:80", { interval_ms: 50, timeout_ms: 50, jitter: 0 }).checks as [never];
const good: CheckResult = { ok: true, reason: "", rttMs: 0 };

test("a check runs again and again until it is removed, once however often it was added", async (t) => {
  let now = 0;
  let results = 0;
  let running = 0;
  await new Promise<void>((resolve) => {
    const checker = new Checker({
      check: async () => {
        t.is(++running, 1);
        now += 500; // a slow check does not begin anew before it ended
        await Promise.resolve();
        running--;
        return good;
      },
      onResult(c) {
        if (++results < 3) return;
        checker.remove(c.key);
        t.is(checker.size, 0);
        resolve();
      },
      now: () => now,
      random: () => 0,
    });
    checker.add(check);
    checker.add(check);
    t.is(checker.size, 1);
  });
  t.is(results, 3);
});

test("a result that comes after its check was removed is nobody's", async (t) => {
  let end: (r: CheckResult) => void = () => {};
  const began = new Promise<void>((started) => {
    const checker = new Checker({
      check: () =>
        new Promise((resolve) => {
          end = resolve;
          checker.stop();
          started();
        }),
      onResult: () => t.fail(),
      now: () => 0,
      random: () => 0,
    });
    checker.add(check);
  });
  await began;
  end(good);
  await new Promise((r) => setImmediate(r));
  t.pass();
});
