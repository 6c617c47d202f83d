// SPDX-License-Identifier: Apache-2.0
// Which instance a command is for, and which of its VIPs.
import { existsSync } from "node:fs";
import path from "node:path";
import type { VipStatus__Output } from "../../gen/marllb/v1/VipStatus.js";
import { type Config, loadConfig } from "../common/config/load.js";
import { ask, type Clients, connect } from "./client.js";
import { LaunchError } from "./up/error.js";
import { instanceFolder } from "./up/instance.js";
import { defaultConfig } from "./up/launch-plan.js";

export interface TargetFlags {
  config?: string;
  instance?: string;
  set?: string[];
}

/** A running instance's own configuration, else the file named, else the shipped one. */
export function targetConfig(flags: TargetFlags): Config {
  if (flags.config !== undefined) return loadConfig(flags.config, flags.set ?? []);
  const running = path.join(instanceFolder(flags.instance ?? "marllb"), "effective.json");
  if (existsSync(running)) return loadConfig(running, flags.set ?? []);
  if (flags.instance !== undefined)
    throw new LaunchError(`no instance ${flags.instance} was started here (looked for ${running})`);
  return loadConfig(defaultConfig, flags.set ?? []);
}

/** Connects, runs, closes; a gRPC failure becomes one line that says what was asked and what came back. */
export async function withClients<T>(flags: TargetFlags, run: (clients: Clients) => Promise<T>): Promise<T> {
  const clients = connect(targetConfig(flags));
  try {
    return await run(clients);
  } catch (e) {
    const details = (e as { details?: string }).details;
    if (details === undefined) throw e;
    const nobody = /connect E\w+ (\S+?)\.?(?:\s|$)/.exec(details)?.[1];
    throw new LaunchError(nobody ? `nothing answers at ${nobody}; is it running?` : details || (e as Error).message);
  } finally {
    clients.close();
  }
}

/** The VIP by name or number; without either, the only one. */
export async function findVip(clients: Clients, wanted: string | undefined): Promise<VipStatus__Output> {
  const status = await ask(clients.agent, "GetStatus", {});
  const { vips } = status;
  const names = vips.map((v) => v.name).join(", ");
  if (wanted === undefined) {
    if (vips.length === 1) return vips[0] as VipStatus__Output;
    throw new LaunchError(vips.length === 0 ? "the agent knows no VIP yet" : `which VIP? --vip ${names}`);
  }
  const found = vips.find((v) => v.name === wanted || String(v.vip_id) === wanted);
  if (!found) throw new LaunchError(`no VIP ${wanted}; there are: ${names}`);
  return found;
}
