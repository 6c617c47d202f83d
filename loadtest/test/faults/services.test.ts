// SPDX-License-Identifier: Apache-2.0
// kill -9 of the services under load: packets flow, the ladder goes down as it says, and climbs back by itself.
import test from "ava";
import { type Part, services } from "../../../testbed/stack.js";
import { sleep } from "../../../testbed/wait.js";
import { Bed, until } from "./bed.js";

for (const part of services) {
  test.serial(`kill -9 ${part} under load: no connection lost, back to the model by itself`, async (t) => {
    const bed = await Bed.start();
    t.teardown(() => bed.stack.stop());
    await bed.ladder("LADDER_MODEL");
    await sleep(500);
    await bed.stack.kill(part);
    await sleep(2500);
    // A tick that a loaded machine misses is no step that stays.
    if (part === "inference") await bed.ladder("LADDER_LAST_GOOD");
    else if (part !== "shm-agent") await bed.ladder("LADDER_MODEL");
    await bed.stack.start(part);
    t.log(`${part}: back to the model ${Math.round(await bed.ladder("LADDER_MODEL"))} ms after it served again`);
    await sleep(500);
    const report = await bed.stop();
    t.deepEqual(report.failures, {});
    t.true(report.answered > 100);
  });
}

test.serial("inference gone for longer than the hold: static, then back", async (t) => {
  const bed = await Bed.start();
  t.teardown(() => bed.stack.stop());
  await bed.ladder("LADDER_MODEL");
  await bed.stack.kill("inference");
  await bed.ladder("LADDER_LAST_GOOD");
  await bed.ladder("LADDER_STATIC");
  await bed.stack.start("inference");
  await bed.ladder("LADDER_MODEL");
  t.deepEqual((await bed.stop()).failures, {});
});

test.serial("kill -9 of all services at once: the data plane goes on with static weights, and they come back", async (t) => {
  const bed = await Bed.start();
  t.teardown(() => bed.stack.stop());
  await bed.ladder("LADDER_MODEL");
  await Promise.all(services.map((s: Part) => bed.stack.kill(s)));
  await until("static weights", 60_000, async () => /static-dp/.test(await bed.control("show stats json")));
  for (const part of services) await bed.stack.start(part);
  await bed.ladder("LADDER_MODEL");
  const report = await bed.stop();
  t.deepEqual(report.failures, {});
});

test.serial("an inference that hangs (SIGSTOP) counts as dead and is taken back", async (t) => {
  const bed = await Bed.start();
  t.teardown(() => bed.stack.stop());
  await bed.ladder("LADDER_MODEL");
  const child = bed.stack.parts.get("inference");
  child?.process.kill("SIGSTOP");
  await bed.ladder("LADDER_LAST_GOOD");
  child?.process.kill("SIGCONT");
  await bed.ladder("LADDER_MODEL");
  t.deepEqual((await bed.stop()).failures, {});
});
