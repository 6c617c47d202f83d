// SPDX-License-Identifier: Apache-2.0
// What was in force survives: the agent, the data plane, or both begin with the last order while failover and inference are away.
import * as grpc from "@grpc/grpc-js";
import test, { type ExecutionContext } from "ava";
import { v1 } from "../../../services/common/grpc/protos.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";
import type { DemoServer } from "../../demo/server.js";
import { demo } from "./bed.js";

type Call = (request: object, options: object, done: (e: Error | null, r?: unknown) => void) => void;

async function call<T>(client: grpc.Client, method: string, request: object): Promise<T> {
  try {
    return await new Promise<T>((resolve, reject) =>
      (client as unknown as Record<string, Call>)[method]?.call(client, request, { deadline: Date.now() + 20_000 }, (e, r) =>
        e ? reject(e) : resolve(r as T),
      ),
    );
  } finally {
    client.close();
  }
}

const insecure = grpc.credentials.createInsecure();

/** Shares of the new flows as the newest frame of the data plane shows them. */
async function shares(stack: Stack): Promise<Map<string, number>> {
  const text = await stack.scrape("shm-agent");
  const rows = [...text.matchAll(/^marllb_server_share\{.*server="([^"]+)".*\} (\S+)$/gm)];
  return new Map(rows.map(([, server, value]) => [server as string, Number(value)]));
}

async function setup(t: ExecutionContext): Promise<{ stack: Stack; servers: DemoServer[] }> {
  const servers = [await demo(1), await demo(2), await demo(3)];
  t.teardown(() => Promise.all(servers.map((s) => s.stop())));
  const stack = await Stack.whole({ servers: servers.map((s) => ({ address: s.address })), supervise: true });
  t.teardown(() => stack.stop());
  await eventually("failover knows the pool", async () =>
    call<{ members: unknown[] }>(new v1.Failover(stack.at("failover"), insecure), "GetPool", { name: "web" }).then(
      (r) => r.members.length === 3,
      () => false,
    ),
  );
  return { stack, servers };
}

test.serial(
  "an override, a drain and a policy outlive the agent and the data plane, with failover and inference away",
  async (t) => {
    const { stack, servers } = await setup(t);
    const [a = "", b = "", c = ""] = servers.map((s) => s.address);
    const failover = (method: string, request: object): Promise<unknown> =>
      call(new v1.Failover(stack.at("failover"), insecure), method, { name: "web", ...request });
    await failover("SetOverride", {
      weights: [
        { address: a, weight: 0 },
        { address: b, weight: 3 },
      ],
      reason: "canary",
    });
    await failover("Drain", { address: c });
    await failover("SetPolicy", { policy: "uniform" });
    const ordered = async (): Promise<boolean> => {
      const now = await shares(stack);
      return now.get(a) === 0 && now.get(b) === 1 && now.get(c) === 0;
    };
    const policy = async (): Promise<string> =>
      (
        await call<{ vips: { policy: string; source: string }[] }>(
          new v1.ShmAgent(stack.at("shm-agent"), insecure),
          "GetStatus",
          {},
        )
      ).vips[0]?.policy ?? "";
    await eventually("what was ordered is in the frame", ordered);
    await eventually("the policy is with the agent", async () => (await policy()) === "uniform");
    await stack.kill("failover");
    await stack.kill("inference");

    const answers: string[] = [];
    const asked = async (): Promise<void> => {
      for (let i = 0; i < 10; i++) answers.push(await stack.get());
    };
    await stack.kill("shm-agent");
    await asked();
    await stack.start("shm-agent");
    await eventually("the new agent shows it", ordered);
    await asked();
    await stack.killServing();
    await asked();
    await eventually("the new data plane has it", ordered);
    await stack.kill("shm-agent");
    await stack.killServing();
    await asked();
    await stack.start("shm-agent");
    await eventually("both are new", ordered);
    await asked();
    t.is(answers.length, 50);
    for (const answer of answers) t.regex(answer, /\bs2\b/);
    // Nobody but the agent knows it now.
    await stack.start("inference");
    await eventually("the ordered policy steers again", async () => (await policy()) === "uniform");
  },
);
