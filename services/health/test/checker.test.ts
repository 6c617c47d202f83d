// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { Checker } from "../checker.js";

test("without a check no address is ever checked; with one, each is", async (t) => {
  const results: string[] = [];
  const options = { intervalMs: 50, jitter: 0, random: () => 0, onResult: (a: string) => void results.push(a) };
  const off = new Checker({ ...options, check: null });
  off.add("10.0.0.1:80");
  const done = new Promise<void>((resolve) => {
    const on = new Checker({
      ...options,
      check: async () => ({ ok: true, reason: "", rttMs: 0 }),
      onResult(address) {
        results.push(address);
        on.stop();
        resolve();
      },
    });
    on.add("10.0.0.2:80");
  });
  await done;
  off.stop();
  t.deepEqual(results, ["10.0.0.2:80"]);
});
