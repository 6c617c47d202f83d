// SPDX-License-Identifier: Apache-2.0
// Faults around the region: the data plane dies, its writer dies in mid-write, a second agent comes, servers come and go.
import test from "ava";
import { sleep } from "../../../testbed/wait.js";
import { Bed, demo, until } from "./bed.js";

test.serial("kill -9 marllb-dp: its restart serves, the agent attaches to the new region by itself", async (t) => {
  const bed = await Bed.start();
  t.teardown(() => bed.stack.stop());
  await bed.ladder("LADDER_MODEL");
  const before = (await bed.status()).dpEpoch;
  await bed.stack.kill("dataplane");
  await bed.stack.start("dataplane");
  const failed = bed.traffic.report().failed;
  const back = await until("attached to the new region", 60_000, async () => {
    const s = await bed.status();
    return s.attached && s.dpEpoch !== before && s.ladder === "LADDER_MODEL";
  });
  t.log(`weights from the model ${Math.round(back)} ms after the restart`);
  await sleep(2000);
  const report = await bed.stop();
  // Connections of the dead process are gone, and those that came while nobody listened; from its restart on none may fail.
  t.is(report.failed, failed, JSON.stringify(report.failures));
  t.true(report.answered > 50);
});

test.serial("kill -9 of the agent at any moment of its writing harms nothing", async (t) => {
  const bed = await Bed.start({ tickMs: 20 });
  t.teardown(() => bed.stack.stop());
  await bed.ladder("LADDER_MODEL");
  let epoch = (await bed.status()).agentEpoch;
  for (let i = 0; i < 6; i++) {
    await sleep(37 * (i + 1));
    await bed.stack.kill("shm-agent");
    await bed.stack.start("shm-agent");
    await bed.ladder("LADDER_MODEL");
    const s = await bed.status();
    t.true(s.agentEpoch > epoch);
    epoch = s.agentEpoch;
  }
  t.deepEqual((await bed.stop()).failures, {});
});

test.serial("a second agent is refused with the reason and does not disturb the first", async (t) => {
  const bed = await Bed.start();
  t.teardown(() => bed.stack.stop());
  await bed.ladder("LADDER_MODEL");
  const first = bed.stack.parts.get("shm-agent");
  const epoch = (await bed.status()).agentEpoch;
  // Ports of its own, the same region.
  const second = bed.stack.spawnService("shm-agent", ["--port", "0", "--metrics-port", "0"]);
  await until("it says why", 60_000, async () => /another agent is attached/.test(second.stderr));
  await second.stop();
  t.is((await bed.status()).agentEpoch, epoch);
  await bed.ladder("LADDER_MODEL");
  t.is(first?.process.exitCode, null);
  t.deepEqual((await bed.stop()).failures, {});
});

test.serial(
  "servers added and removed 50 times a second under load: no connection lost, no vector on a wrong server",
  async (t) => {
    const bed = await Bed.start();
    t.teardown(() => bed.stack.stop());
    await bed.ladder("LADDER_MODEL");
    const extra = [await demo(50), await demo(51)];
    for (let i = 0; i < 250; i++) {
      const s = extra[i % 2];
      const answer = await bed.control(i % 4 < 2 ? `server vip web ${s?.address} weight 2` : `no server vip web ${s?.address}`);
      t.notRegex(answer, /error/i);
      await sleep(20);
    }
    await bed.ladder("LADDER_MODEL");
    const report = await bed.stop();
    await Promise.all(extra.map((s) => s.stop()));
    t.deepEqual(report.failures, {});
  },
);

test.serial(
  "a server that dies: its flows are retried on others, it is masked, and taken back when it serves again",
  async (t) => {
    const bed = await Bed.start();
    t.teardown(() => bed.stack.stop());
    await bed.ladder("LADDER_MODEL");
    const victim = bed.servers[0];
    const address = victim?.address as string;
    await fetch(`http://${address}/-/down?s=4`);
    await until("masked", 60_000, async () => (await factor(bed, address)) === 0);
    const masked = bed.traffic.report().failed;
    await sleep(1000);
    t.is(bed.traffic.report().failed, masked, "nobody fails once it is masked");
    await until("taken back", 60_000, async () => (await factor(bed, address)) === 1);
    const report = await bed.stop();
    // What it had in hand when it closed is cut by itself; connects are retried elsewhere.
    t.deepEqual(
      Object.keys(report.failures).filter((k) => k === "ECONNREFUSED" || k === "timeout"),
      [],
      JSON.stringify(report.failures),
    );
  },
);

/** The directive's factor of a server as the data plane has it in effect. */
async function factor(bed: Bed, address: string): Promise<number> {
  const [first] = (await bed.control("show weights json")).split("\n");
  const entry = new RegExp(`\\{[^{}]*"${address.replaceAll(".", "\\.")}"[^{}]*\\}`).exec(first as string)?.[0];
  return entry ? (JSON.parse(entry) as { factor: number }).factor : Number.NaN;
}
