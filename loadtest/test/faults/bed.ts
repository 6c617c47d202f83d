// SPDX-License-Identifier: Apache-2.0
// What the fault tests share: demo servers, a stack, steady traffic that counts every failure, and questions to the parts.
import * as grpc from "@grpc/grpc-js";
import { v1 } from "../../../services/common/grpc/protos.js";
import { controlText } from "../../../testbed/control.js";
import { Stack, type StackOptions } from "../../../testbed/stack.js";
import { sleep } from "../../../testbed/wait.js";
import { OpenLoop } from "../../demo/open-loop.js";
import { random } from "../../demo/random.js";
import { DemoServer } from "../../demo/server.js";

export class Bed {
  private constructor(
    readonly servers: DemoServer[],
    readonly stack: Stack,
    readonly traffic: OpenLoop,
  ) {}

  static async start(options: Partial<StackOptions> & { count?: number; ratePerS?: number } = {}): Promise<Bed> {
    const servers: DemoServer[] = [];
    for (let i = 0; i < (options.count ?? 4); i++) servers.push(await demo(i));
    const stack = await Stack.whole({ ...options, servers: servers.map((s) => ({ address: s.address })) });
    const [host, port] = stack.vip.split(":") as [string, string];
    const traffic = new OpenLoop({
      host,
      port: Number(port),
      ratePerS: options.ratePerS ?? 80,
      meanMs: 20,
      seed: 7,
      timeoutMs: 15_000,
    });
    traffic.start();
    return new Bed(servers, stack, traffic);
  }

  /** Ends the traffic first and returns what became of it. */
  async stop(): Promise<ReturnType<OpenLoop["report"]>> {
    await this.traffic.stop();
    const report = this.traffic.report();
    await this.stack.stop();
    await Promise.all(this.servers.map((s) => s.stop()));
    return report;
  }

  async status(): Promise<{ attached: boolean; ladder: string; agentEpoch: number; dpEpoch: string; refused: number }> {
    const client = new v1.ShmAgent(this.stack.at("shm-agent"), grpc.credentials.createInsecure());
    try {
      const r = await new Promise<Awaited<ReturnType<typeof ask>>>((resolve, reject) => ask(client).then(resolve, reject));
      const vip = r.vips?.[0];
      return {
        attached: r.attached ?? false,
        ladder: String(vip?.ladder ?? ""),
        agentEpoch: Number(r.agent_epoch ?? 0),
        dpEpoch: String(r.dp_epoch ?? ""),
        refused: Number(vip?.refused ?? 0),
      };
    } finally {
      client.close();
    }
  }

  /** Waits until the agent says this ladder step; the bound is generous, the time it took is returned. */
  async ladder(step: string, ms = 60_000): Promise<number> {
    return until(`ladder ${step}`, ms, async () => (await this.status()).ladder === step);
  }

  control(line: string): Promise<string> {
    return controlText(this.stack.controlSocket, line);
  }
}

function ask(client: InstanceType<typeof v1.ShmAgent>) {
  return new Promise<import("../../../gen/marllb/v1/GetStatusResponse.js").GetStatusResponse__Output>((resolve, reject) => {
    client.GetStatus({}, { deadline: Date.now() + 20_000 }, (e, r) => (e || !r ? reject(e) : resolve(r)));
  });
}

export async function demo(seed: number): Promise<DemoServer> {
  const s = new DemoServer({ name: `s${seed}`, cores: 4, meanMs: 20, host: "127.0.0.1", port: 0, random: random(seed) });
  await s.listen();
  return s;
}

/** Polls until true; milliseconds it took. An error counts as "not yet". */
export async function until(what: string, ms: number, ok: () => Promise<boolean>): Promise<number> {
  const start = performance.now();
  let last: unknown;
  while (performance.now() - start < ms) {
    try {
      if (await ok()) return performance.now() - start;
    } catch (e) {
      last = e;
    }
    await sleep(20);
  }
  throw new Error(`${what}: not within ${ms} ms${last instanceof Error ? ` (${last.message})` : ""}`);
}
