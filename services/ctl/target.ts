// SPDX-License-Identifier: Apache-2.0
// What a command is for: a running instance of this host, a configuration's addresses, or a context's load balancers and services.
import { existsSync, readFileSync } from "node:fs";
import type { GetStatusResponse__Output } from "../../gen/marllb/v1/GetStatusResponse.js";
import type { VipStatus__Output } from "../../gen/marllb/v1/VipStatus.js";
import type { Config } from "../common/config/load.js";
import { dialTarget } from "../common/grpc/channel.js";
import type { v1 } from "../common/grpc/protos.js";
import { type Clients, connect, type Target } from "./client.js";
import { contextFile } from "./context-file.js";
import type { Context } from "./contexts.js";
import type { Replica } from "./replicas.js";
import { LaunchError } from "./up/error.js";
import { fileOfRunning, TARGET } from "./up/instance.js";

export interface TargetFlags {
  config?: string;
  instance?: string;
  context?: string;
  agent?: string[];
  inference?: string[];
  health?: string[];
  failover?: string[];
  lb?: string;
  timeout?: number;
  set?: string[];
}

/** The addresses of one configuration: the agents that its console shows, or its own one; the services as they are dialled by it. */
export const targetOf = (config: Config): Target => ({
  agents: config.console.agents.length > 0 ? config.console.agents : [dialTarget(config, "shm_agent")],
  inference: [dialTarget(config, "inference")],
  health: [dialTarget(config, "health")],
  failover: [dialTarget(config, "failover")],
  tls: config.tls,
});

/** What the launcher wrote of the running instance; null: none was started here. */
function runningTarget(instance: string | undefined): Target | null {
  const file = fileOfRunning(instance, TARGET);
  return file === null ? null : (JSON.parse(readFileSync(file, "utf8")) as Target);
}

/** --instance and --config go before a context; single addresses before both. */
export async function chooseTarget(flags: TargetFlags): Promise<Target> {
  const local = flags.config !== undefined || flags.instance !== undefined;
  if (local && flags.context !== undefined)
    throw new LaunchError("--context with --config or --instance: expected one of them", 2);
  const context = local ? undefined : await contextOf(flags.context);
  const running = flags.config === undefined ? runningTarget(flags.instance) : null;
  const base: Target = context ?? running ?? targetOf((await import("./own-config.js")).targetConfig(flags));
  return {
    ...base,
    ...(flags.agent && { agents: flags.agent }),
    ...(flags.inference && { inference: flags.inference }),
    ...(flags.health && { health: flags.health }),
    ...(flags.failover && { failover: flags.failover }),
  };
}

async function contextOf(wanted: string | undefined): Promise<Context | undefined> {
  const file = contextFile();
  if (wanted === undefined && !existsSync(file)) return undefined;
  return (await import("./contexts.js")).chooseContext(file, wanted);
}

/** Connects, runs, closes. */
export async function withClients<T>(flags: TargetFlags, run: (clients: Clients) => Promise<T>): Promise<T> {
  const clients = connect(await chooseTarget(flags), flags.timeout);
  try {
    return await run(clients);
  } finally {
    await clients.close();
  }
}

/** One load balancer that answered. */
export interface LoadBalancer {
  agent: Replica<InstanceType<typeof v1.ShmAgent>>;
  status: GetStatusResponse__Output;
}

/**
 * The load balancers of the target, or the one of `--lb` (instance or address). Those that do not answer are said on standard error,
 * and make the command's exit code 1; where none answers, that is the error.
 */
export async function loadBalancers(clients: Clients, flags: TargetFlags): Promise<LoadBalancer[]> {
  const agents = await clients.agents.all();
  const asked = await clients.agents.each("GetStatus", {});
  const all = asked.flatMap((a, i) => ("answer" in a ? [{ agent: agents[i] as LoadBalancer["agent"], status: a.answer }] : []));
  const silent = asked.flatMap((a) => ("error" in a ? [a.error.message] : []));
  const wanted = flags.lb;
  const found = wanted === undefined ? all : all.filter((l) => l.status.instance === wanted || l.agent.address === wanted);
  if (found.length === 0) {
    if (all.length === 0) throw new LaunchError(silent.join("\n"));
    const there = all.map((l) => `${l.status.instance} (${l.agent.address})`).join(", ");
    throw new LaunchError([`no load balancer ${wanted}; there are: ${there}`, ...silent].join("\n"));
  }
  if (wanted === undefined && silent.length > 0) {
    process.stderr.write(`${silent.join("\n")}\n`);
    process.exitCode = 1;
  }
  return found;
}

/** A VIP at each load balancer that has it; its number may differ from one to the next, its name is what they share. */
export interface FoundVip {
  name: string;
  /** At the first of them. */
  vip_id: number;
  at: { lb: LoadBalancer; vip: VipStatus__Output }[];
}

/** The VIP by name or number; without either, the only one. */
export async function findVip(clients: Clients, flags: TargetFlags & { vip?: string }): Promise<FoundVip> {
  const lbs = await loadBalancers(clients, flags);
  const all = lbs.flatMap((lb) => lb.status.vips.map((vip) => ({ lb, vip })));
  const names = [...new Set(all.map(({ vip }) => vip.name))];
  const there = names.join(", ");
  let name = flags.vip;
  if (name === undefined) {
    if (names.length !== 1) throw new LaunchError(names.length === 0 ? noVip(lbs) : `which VIP? --vip ${there}`);
    name = names[0] as string;
  } else if (!names.includes(name)) {
    const numbered = new Set(all.filter(({ vip }) => String(vip.vip_id) === name).map(({ vip }) => vip.name));
    if (numbered.size > 1) throw new LaunchError(`VIP ${name} is ${[...numbered].join(" here, ")} there; expected a name`);
    if (numbered.size === 0) throw new LaunchError(names.length === 0 ? noVip(lbs) : `no VIP ${name}; there are: ${there}`);
    name = [...numbered][0] as string;
  }
  const at = all.filter(({ vip }) => vip.name === name);
  return { name, vip_id: (at[0] as (typeof at)[number]).vip.vip_id, at };
}

/** The same for an order, which has not been given where this fails. */
export async function findVipToOrder(clients: Clients, flags: TargetFlags & { vip?: string }): Promise<FoundVip> {
  try {
    return await findVip(clients, flags);
  } catch (e) {
    if (!(e instanceof LaunchError)) throw e;
    throw new LaunchError(`${e.message}\nnothing was ordered`, e.exitCode);
  }
}

/** Why an agent knows no VIP: what it says of its attachment. */
function noVip(lbs: readonly LoadBalancer[]): string {
  return lbs.map(({ status: s }) => `${s.instance}: ${s.attached ? "the agent knows no VIP yet" : s.why_not}`).join("\n");
}
