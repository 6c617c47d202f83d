// SPDX-License-Identifier: Apache-2.0
// gRPC clients of the load balancers' agents and of the services, all replicas of each.
import type { Config } from "../common/config/load.js";
import { v1 } from "../common/grpc/protos.js";
import { Replicas } from "./replicas.js";

/** Where to dial, as a configuration or a context says. */
export interface Target {
  agents: readonly string[];
  inference: readonly string[];
  health: readonly string[];
  failover: readonly string[];
  tls?: Config["tls"];
}

export interface Clients {
  agents: Replicas<InstanceType<typeof v1.ShmAgent>>;
  inference: Replicas<InstanceType<typeof v1.Inference>>;
  health: Replicas<InstanceType<typeof v1.Health>>;
  failover: Replicas<InstanceType<typeof v1.Failover>>;
  close(): Promise<void>;
}

export function connect(target: Target, timeoutMs = 5000): Clients {
  const agents = new Replicas("shm-agent", () => v1.ShmAgent, target.agents, target, timeoutMs);
  const inference = new Replicas("inference", () => v1.Inference, target.inference, target, timeoutMs);
  const health = new Replicas("health", () => v1.Health, target.health, target, timeoutMs);
  const failover = new Replicas("failover", () => v1.Failover, target.failover, target, timeoutMs);
  const close = async (): Promise<void> => {
    await Promise.all([agents.close(), inference.close(), health.close(), failover.close()]);
  };
  return { agents, inference, health, failover, close };
}
