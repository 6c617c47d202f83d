// SPDX-License-Identifier: Apache-2.0
// From flags and configuration file to one effective configuration, with every port known. What is written to the instance's folder is
// what every process of the instance reads, after a restart too.
import path from "node:path";
import { formatHostPort, parseHostPort } from "../../common/config/address.js";
import { type Config, ConfigError, loadConfig } from "../../common/config/load.js";
import { SERVICES } from "../../common/config/schema.js";
import { modelsFolder, policyProblem } from "../../common/policies.js";
import { projectRoot } from "../../common/root.js";
import { findDataplane, suits } from "../dataplanes/index.js";
import { LaunchError } from "./error.js";
import { DEMO } from "./instance.js";
import type { UpOptions } from "./options.js";
import { freePort, type Wanted } from "./ports.js";

export type Mutable<T> = { -readonly [K in keyof T]: T[K] extends object ? Mutable<T[K]> : T[K] };

export interface Plan {
  config: Mutable<Config>;
  /** Of further load balancers, which share its services and servers. */
  others: Mutable<Config>[];
  /** The demo's servers, at addresses of `config.vips[0].servers`; undefined when real servers are used. */
  demo?: { cores: number[]; ratePerS: number; meanMs: number };
  /** Somebody said where the console is to listen. */
  consoleGiven: boolean;
  /** What the data plane will overlook, for a person. */
  notes: string[];
}

export const defaultConfig = path.join(projectRoot, "deploy/config/marllb.yaml");
const demoPorts = 9001;

interface FlagSet {
  flag: string;
  set: string;
}

/** Flags as overrides of the file, so that one checker sees the whole. */
function flagSets(o: UpOptions, file: Config): FlagSet[] {
  const vips = file.vips.length;
  const sets: FlagSet[] = [];
  const add = (flag: string, key: string, value: unknown): void => {
    if (value !== undefined) sets.push({ flag, set: `${key}=${JSON.stringify(value)}` });
  };
  // Without a file of one's own it is the demo of this host, whatever the host is called.
  add("--instance", "instance", o.instance ?? (o.config === undefined ? DEMO : undefined));
  add("--vip", "vips.0.address", o.vip);
  add("--servers", "vips.0.servers", o.servers);
  for (let i = 0; i < vips; i++) {
    add("--policy", `vips.${i}.policy`, o.policy);
    add("--mode", `vips.${i}.mode`, o.mode);
  }
  add("--tick", "tick_ms", o.tick);
  // A flag of its own must do: the lease, which has to be two ticks, goes with it unless it is given too.
  const leased = (o.set ?? []).some((s) => s.startsWith("dataplane.lease_ms="));
  if (o.tick !== undefined && !leased)
    add("--tick", "dataplane.lease_ms", Math.max(file.dataplane.lease_ms, Math.ceil(2 * o.tick)));
  add("--threads", "dataplane.threads", o.threads);
  add("--dataplane", "dataplane.kind", o.dataplane);
  add("--otlp", "tracing.endpoint", o.otlp);
  add("--drain", "dataplane.drain_timeout_ms", o.drain === undefined ? undefined : Math.round(o.drain * 1000));
  return [...sets, ...(o.set ?? []).map((set) => ({ flag: `--set ${set}`, set }))];
}

/** loadConfig, with errors that name the flag that was given instead of the override that it stands for. */
function loadWithFlags(file: string, flags: readonly FlagSet[]): Mutable<Config> {
  try {
    const sets = flags.map((f) => f.set);
    return structuredClone(loadConfig(file, sets)) as Mutable<Config>;
  } catch (e) {
    if (!(e instanceof ConfigError)) throw e;
    const renamed = e.problems.map((problem) => {
      const from = flags.find((f) => problem.startsWith(`--set ${f.set}: `));
      if (!from) return problem;
      const said = problem.slice(`--set ${from.set}: `.length);
      const key = `${from.set.slice(0, from.set.indexOf("="))}: `; // a flag of its own says it by its name
      return `${from.flag}: ${from.flag.startsWith("--set ") || !said.startsWith(key) ? said : said.slice(key.length)}`;
    });
    throw new ConfigError([...new Set(renamed)]);
  }
}

/** The configuration as wanted; ports may still be 0. `environment` is the launcher's, for the OTLP variable. */
export function effective(o: UpOptions, environment: Record<string, string | undefined>): Plan {
  const file = o.config ?? defaultConfig;
  // A tick of the overrides may want the flag's lease: what is wrong with the whole is said below.
  const alone = loadConfig(file, o.set ?? []);
  if (alone.vips.length === 0)
    throw new LaunchError(`${file}: no VIP is configured; list one under vips: (see deploy/config/marllb.yaml)`);
  const config = loadWithFlags(file, flagSets(o, alone));
  if (o.loadBalancers > 1 && o.config !== undefined)
    throw new LaunchError("--load-balancers with --config: a file says where one load balancer listens", 2);
  if (config.tracing.endpoint === "") config.tracing.endpoint = environment.OTEL_EXPORTER_OTLP_ENDPOINT ?? "";
  requirePolicies(config);
  const notes = suits(config, findDataplane(config.dataplane.kind));
  const own = config.instance !== DEMO;
  if (own && o.config === undefined) takeOwnNames(config, o);
  const first = config.vips[0] as Mutable<Config["vips"][number]>;
  const empty = config.vips.every((v) => v.servers.length === 0);
  const consoleGiven = o.config !== undefined || (o.set ?? []).some((s) => s.startsWith("services.console.listen="));
  if (!empty) return { config, others: [], notes, consoleGiven };
  if (o.config !== undefined && first.pool !== "managed") {
    throw new LaunchError(`${file}: no servers are listed; add some under vips: servers:, or give --servers IP:PORT,...`);
  }
  if (o.config !== undefined) return { config, others: [], notes, consoleGiven };
  if (first.protocol === "udp")
    throw new LaunchError(`${file}: VIP ${first.name} is UDP, the demo's servers speak TCP; list servers under vips: servers:`);
  const capacityPerS = (1000 / Math.max(o.meanMs, 1)) * o.demoCores.reduce((a, b) => a + b, 0);
  first.servers = o.demoCores.map((_, i) => demoServer(own ? 0 : demoPorts + i));
  return {
    config,
    others: [],
    notes,
    consoleGiven,
    demo: { cores: o.demoCores, meanMs: o.meanMs, ratePerS: o.rate ?? Math.min(0.8 * capacityPerS, 2000) },
  };
}

/** A policy that is not there falls back to Kalman for good: a name that was chosen by hand is more likely misspelt. */
function requirePolicies(config: Config): void {
  for (const v of config.vips) {
    const problem = policyProblem(v.policy, modelsFolder(config.inference.models));
    if (problem !== null) throw new LaunchError(`VIP ${v.name}: policy: ${problem}`, 2);
  }
}

const demoServer = (port: number) => ({
  address: `127.0.0.1:${port}`,
  weight: 1,
  max_connections: 0,
  drain: false,
  send_proxy: "vip" as const,
});

/** An instance of another name: a region and ports of its own, unless a flag says otherwise. */
function takeOwnNames(config: Mutable<Config>, o: UpOptions): void {
  const given = (key: string): boolean => (o.set ?? []).some((s) => s.startsWith(`${key}=`));
  if (!given("region.path")) config.region.path = `${config.region.path}.${config.instance}`;
  for (const s of SERVICES) {
    for (const key of ["listen", "metrics"] as const) {
      const host = parseHostPort(config.services[s][key])?.host ?? "127.0.0.1";
      if (!given(`services.${s}.${key}`)) config.services[s][key] = formatHostPort(host, 0);
    }
  }
  const first = config.vips[0];
  if (first && o.vip === undefined && !given("vips.0.address")) {
    first.address = formatHostPort(parseHostPort(first.address)?.host ?? "127.0.0.1", 0);
  }
}

/** Every address of the configuration that something of ours listens on, with the way to change it. */
export function listeners(plan: Plan, o: UpOptions): Wanted[] {
  const file = o.config ?? "deploy/config/marllb.yaml";
  // A file of one's own means its ports, whatever the instance's name.
  const another = o.config === undefined ? ", or --instance NAME for another set of ports" : "";
  const where = (key: string): string => `--set ${key}=HOST:PORT (or in ${file})${another}`;
  const sockets = findDataplane(plan.config.dataplane.kind).listens ? plan.config.vips : [];
  const list: Wanted[] = sockets.map((v, i) => ({
    what: `VIP ${v.name}`,
    address: v.address,
    protocol: v.protocol,
    change: i === 0 ? "--vip IP:PORT" : where(`vips.${i}.address`),
  }));
  for (const source of plan.config.dataplane.sources) {
    list.push({ what: "source address", address: formatHostPort(source, 0), change: `dataplane.sources in ${file}` });
  }
  for (const s of SERVICES) {
    const label = s.replace("_", "-");
    const protocol = s === "console" ? "page" : "gRPC";
    list.push({
      what: `${protocol} of ${label}`,
      address: plan.config.services[s].listen,
      change: where(`services.${s}.listen`),
    });
    list.push({ what: `metrics of ${label}`, address: plan.config.services[s].metrics, change: where(`services.${s}.metrics`) });
  }
  return list;
}

/** Gives every address with port 0 a free port; demo servers move to free ports where theirs are taken. */
export async function choosePorts(plan: Plan, taken: (host: string, port: number) => Promise<string | undefined>): Promise<void> {
  const given = new Set<number>();
  const choose = async (address: string): Promise<string> => {
    const hp = parseHostPort(address);
    if (hp?.port !== 0) return address;
    return formatHostPort(hp.host, await freePort(hp.host, given));
  };
  const free = async (address: string): Promise<string> => {
    const hp = parseHostPort(address);
    return choose(hp && hp.port !== 0 && (await taken(hp.host, hp.port)) ? formatHostPort(hp.host, 0) : address);
  };
  for (const v of plan.config.vips) v.address = await choose(v.address);
  // Many a program of a developer listens on 3000: no reason not to start.
  if (!plan.consoleGiven) plan.config.services.console.listen = await free(plan.config.services.console.listen);
  for (const s of SERVICES) {
    plan.config.services[s].listen = await choose(plan.config.services[s].listen);
    plan.config.services[s].metrics = await choose(plan.config.services[s].metrics);
  }
  if (!plan.demo) return;
  for (const [i, server] of (plan.config.vips[0]?.servers ?? []).entries()) {
    server.address = await free(server.address);
    // Nobody tells the load balancer: the console draws what is true beside what was found out.
    plan.config.console.capacity[server.address] = plan.demo.cores[i] as number;
  }
}
