// SPDX-License-Identifier: Apache-2.0
// The guardrail on the whole running path: a model that becomes harmful while it runs. That servers which are all slow alike are not blamed on
// the policy is a probability, and measured: trust.guardrail.path_alike_blamed.
import test from "ava";
import { eventually, sleep } from "../../../testbed/wait.js";
import { INVERTED, TrustPath } from "../../bench/trust/path.js";

test("a model that becomes harmful is suspected, withdrawn, tried, and out of force for good; every request is answered", async (t) => {
  t.timeout(600_000);
  const it = await TrustPath.start();
  t.teardown(() => it.stop());
  await it.learned();
  const since = await it.replace(INVERTED);
  const down = await it.step(["down"]);
  const steps = await it.steps();
  const kinds = steps.map((s) => s.step);
  // It may have been suspected and cleared of a stall of this machine before.
  const last = kinds.lastIndexOf("suspected");
  t.deepEqual(kinds.slice(last, last + 3), ["suspected", "withdrawn", "reintroduced"]);
  t.is(kinds.at(-1), "down");
  t.true(Number(steps[last]?.at_unix_ms) >= since - 20_000 && down.at_unix_ms === steps.at(-1)?.at_unix_ms);
  t.regex(
    down.evidence,
    /for 3 s flows stay \d+ ms .*; in (4 of 4|6 of 7) trials of 8 s it went with the policy and came back with it/,
  );
  await eventually("the next frame is the reference's", async () => (await it.trust()).turn_of === "guardrail");
  for (let i = 0; i < 10; i++) {
    const { guardrail, policy, turn_of, wanted } = await it.trust();
    t.is(guardrail?.state, "down");
    t.deepEqual([policy, turn_of, wanted], ["kalman", "guardrail", "marl"]);
    await sleep(500);
  }
  const metrics = await it.stack.scrape("inference");
  t.regex(metrics, /marllb_guardrail_state\{.*vip="web",state="down"\} 1/);
  t.regex(metrics, /marllb_guardrail_steps_total\{.*vip="web",step="down"\} 1/);
  // The load balancer brings it to whoever steers next.
  await it.stack.kill("inference");
  await it.stack.start("inference");
  await eventually("the policy is down at the next inference, too", async () => {
    const next = await it.trust().catch(() => null);
    return next?.guardrail?.state === "down" && next.turn_of === "guardrail";
  });
  t.true((await it.resume("tried")).resumed);
  t.is((await it.steps()).at(-1)?.step, "again");
  it.traffic.stop();
  t.is(it.traffic.failed, 0);
});
