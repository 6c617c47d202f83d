// SPDX-License-Identifier: Apache-2.0
// Readiness tells the truth: every service is ready while all is there, and says why not where something is missing.
import test from "ava";
import { Stack, services } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";
import { demo } from "./bed.js";

type Answer = [status: number, text: string];

async function readyz(stack: Stack, part: (typeof services)[number]): Promise<Answer> {
  const r = await fetch(`http://${stack.metrics.get(part)}/readyz`);
  return [r.status, await r.text()];
}

const becomes = (stack: Stack, part: (typeof services)[number], status: number): Promise<Answer> =>
  eventually(`${part} answers ${status}`, async () => {
    const answer = await readyz(stack, part);
    return answer[0] === status && answer;
  });

test.serial(
  "all are ready together; a data plane that hangs or is dead is said by the agent, and by health, within their bounds",
  async (t) => {
    const servers = [await demo(1), await demo(2)];
    t.teardown(() => Promise.all(servers.map((s) => s.stop())));
    const stack = await Stack.whole({ servers: servers.map((s) => ({ address: s.address })) });
    t.teardown(() => stack.stop());
    for (const part of services) t.deepEqual(await becomes(stack, part, 200), [200, "ready\n"]);

    const dataplane = stack.parts.get("dataplane");
    dataplane?.process.kill("SIGSTOP");
    t.regex((await becomes(stack, "shm-agent", 503))[1], /heartbeat of marllb-dp .* stands still/);
    t.regex((await becomes(stack, "health", 503))[1], /no load balancer sends frames/);
    const metrics = await stack.scrape("shm-agent");
    t.regex(metrics, /^marllb_agent_attached\{.*\} 0$/m);
    t.regex(metrics, /^marllb_ready\{.*\} 0$/m);
    dataplane?.process.kill("SIGCONT");
    await becomes(stack, "shm-agent", 200);

    await stack.kill("dataplane");
    t.regex((await becomes(stack, "shm-agent", 503))[1], /it was killed, or it hangs/);
    await stack.start("dataplane");
    for (const part of services) await becomes(stack, part, 200);

    await stack.kill("health");
    t.regex((await becomes(stack, "failover", 503))[1], /health/);
  },
);
