// SPDX-License-Identifier: Apache-2.0
// A whole list of verdicts from the registry through Health.Watch to the votes of failover: how many entries pass, in which parts.
import * as grpc from "@grpc/grpc-js";
import type { WatchResponse__Output } from "../../../gen/marllb/v1/WatchResponse.js";
import { placeOf, planOf } from "../../../services/common/checks/plan.js";
import { systemClock } from "../../../services/common/clock.js";
import { type HealthConfig, health } from "../../../services/common/config/health-schema.js";
import { clientOptions, serverOptions } from "../../../services/common/grpc/channel.js";
import { v1 } from "../../../services/common/grpc/protos.js";
import { heardIn } from "../../../services/failover/verdicts.js";
import { Votes } from "../../../services/failover/votes.js";
import { HealthRegistry } from "../../../services/health/registry.js";
import { type WatchCall, Watchers } from "../../../services/health/watchers.js";
import { fakeFrame } from "../../../testbed/fake-frame.js";

export interface WatchResult {
  entries: number;
  largestPart: number;
  seconds: number;
  /** Servers of which the reader knows something in the end. */
  known: number;
  /** Of both ends, MiB. */
  memory: number;
}

const PER_VIP = 1024;
/** Both ends share one loop here: neither may take the other's work for its death. */
const NO_KEEPALIVE = { "grpc.keepalive_time_ms": 2 ** 31 - 1 };

function filled(loadBalancers: number, servers: number): HealthRegistry {
  const settings: HealthConfig = health.parse({ kind: "none" });
  const plans = new Map<string, ReturnType<typeof planOf>>();
  const registry = new HealthRegistry(
    (vip, server) => {
      let plan = plans.get(server);
      if (!plan) {
        plan = planOf(settings, vip.protocol, [], placeOf(server), "off");
        plans.set(server, plan);
      }
      return plan;
    },
    { changed() {}, check() {} },
  );
  for (let first = 0; first < servers; first += PER_VIP) {
    const list = Array.from({ length: Math.min(PER_VIP, servers - first) }, (_, i) => ({
      id: i + 1,
      address: `10.0.${(first + i) >> 8}.${(first + i) & 255}:80`,
    }));
    const vip = first / PER_VIP + 1;
    const frame = fakeFrame(list, { vipId: vip, birth: BigInt(vip), name: `vip${vip}` });
    for (let lb = 0; lb < loadBalancers; lb++) registry.frame(`lb-${lb}`, frame, 0);
  }
  return registry;
}

/** Every server of every load balancer, once, over a real connection. */
export async function watch(loadBalancers: number, servers: number): Promise<WatchResult> {
  const registry = filled(loadBalancers, servers);
  const watchers = new Watchers(registry, systemClock);
  const server = new grpc.Server({ ...serverOptions, ...NO_KEEPALIVE });
  const nothing = (): never => {
    throw new Error("only Watch is served here");
  };
  server.addService(v1.Health.service, {
    Watch: (call: WatchCall) => watchers.add(call),
    Check: nothing,
    Report: nothing,
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (e, p) => (e ? reject(e) : resolve(p))),
  );
  const client = new v1.Health(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), { ...clientOptions, ...NO_KEEPALIVE });
  const result: WatchResult = { entries: 0, largestPart: 0, seconds: 0, known: 0, memory: 0 };
  let known = 0;
  const votes = new Votes(
    () => known++,
    () => {},
  );
  const start = systemClock.now();
  await new Promise<void>((resolve, reject) => {
    const call = client.Watch({ instance: "" });
    call.on("data", (m: WatchResponse__Output) => {
      result.entries += m.verdicts.length;
      result.largestPart = Math.max(result.largestPart, m.verdicts.length);
      votes.hear("bench", heardIn(m), m.snapshot);
      if (m.snapshot) resolve();
    });
    call.on("error", reject);
  });
  result.seconds = (systemClock.now() - start) / 1000;
  result.known = known;
  result.memory = process.memoryUsage().rss / 2 ** 20;
  client.close();
  server.forceShutdown();
  return result;
}
