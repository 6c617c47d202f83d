// SPDX-License-Identifier: Apache-2.0
// Several load balancers of one start. Each has a data plane, an agent and addresses of its own; the other services are theirs together.
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { formatHostPort, parseHostPort } from "../../common/config/address.js";
import type { Config } from "../../common/config/load.js";
import { dialTarget } from "../../common/grpc/channel.js";
import { findDataplane } from "../dataplanes/index.js";
import { LaunchError } from "./error.js";
import type { Mutable, Plan } from "./launch-plan.js";
import { freePort, whyTaken } from "./ports.js";

/** Makes the plan's load balancer the first of `n`. Its ports are known; those of the others are free ones. */
export async function addLoadBalancers(plan: Plan, n: number, folder: string): Promise<void> {
  const { config } = plan;
  const { kind, listens } = findDataplane(config.dataplane.kind);
  if (!listens) throw new LaunchError(`--load-balancers ${n}: data plane ${kind} is one a host`, 2);
  const given = new Set<number>();
  for (const v of config.vips) v.load_balancers = n;
  config.counts.key_file = path.join(folder, "counts.key");
  writeFileSync(config.counts.key_file, `${randomBytes(16).toString("hex")}\n`, { mode: 0o600 });
  await takeCounts(config, given);
  for (let k = 2; k <= n; k++) plan.others.push(await another(config, k, given));
  config.console.agents = [config, ...plan.others].map((c) => dialTarget(c, "shm_agent"));
}

async function another(first: Mutable<Config>, k: number, given: Set<number>): Promise<Mutable<Config>> {
  const config = structuredClone(first);
  config.instance = `${first.instance.slice(0, 28)}-${k}`;
  config.region.path = `${first.region.path}.${k}`;
  for (const v of config.vips) v.address = await free(v.address, given);
  const agent = config.services.shm_agent;
  agent.listen = await free(agent.listen, given);
  agent.metrics = await free(agent.metrics, given);
  await takeCounts(config, given);
  return config;
}

async function takeCounts(config: Mutable<Config>, given: Set<number>): Promise<void> {
  for (;;) {
    const port = await freePort("127.0.0.1", given);
    if ((await whyTaken("127.0.0.1", port, "udp")) !== undefined) continue;
    config.counts.listen = formatHostPort("127.0.0.1", port);
    return;
  }
}

async function free(address: string, given: Set<number>): Promise<string> {
  const { host } = parseHostPort(address) ?? { host: "127.0.0.1" };
  return formatHostPort(host, await freePort(host, given));
}
