// SPDX-License-Identifier: Apache-2.0
// The whole configuration that a command is for. Apart from where services are reached (target.ts), few commands want it, and its schema takes
// longer to load than most answers take to come.
import { existsSync } from "node:fs";
import { type Config, loadConfig } from "../common/config/load.js";
import { LaunchError } from "./up/error.js";
import { fileOfRunning, instanceFolder } from "./up/instance.js";
import { defaultConfig } from "./up/launch-plan.js";

export interface OwnFlags {
  config?: string;
  instance?: string;
  set?: string[];
}

/** Where deploy/install.sh puts the configuration that systemd's units read. */
const INSTALLED = "/etc/marllb/marllb.yaml";

/** The file named, else a running instance's own configuration, else the installed one, else the shipped one. */
export function targetConfig(flags: OwnFlags): Config {
  if (flags.config !== undefined) return loadConfig(flags.config, flags.set ?? []);
  const running = fileOfRunning(flags.instance, "effective.json");
  if (running !== null) return loadConfig(running, flags.set ?? []);
  if (flags.instance !== undefined)
    throw new LaunchError(`no instance ${flags.instance} was started here (looked into ${instanceFolder(flags.instance)})`);
  return loadConfig(existsSync(INSTALLED) ? INSTALLED : defaultConfig, flags.set ?? []);
}
