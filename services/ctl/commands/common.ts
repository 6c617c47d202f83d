// SPDX-License-Identifier: Apache-2.0
// Flags and arguments that all commands read the same way.
import { type Command, InvalidArgumentError, Option } from "commander";
import { isIpPort } from "../../common/config/address.js";
import { append, number } from "../flags.js";
import type { TargetFlags } from "../target.js";

export interface Common extends TargetFlags {
  json: boolean;
}

/** Whom a command asks. */
function target(command: Command): Command {
  return command
    .option("--instance <name>", "a running instance (default: marllb, or the host's name)")
    .option("--config <file>", "addresses from this configuration instead")
    .option("--context <name>", "load balancers and services of this context (marllbctl context list; default: the current one)")
    .option("--agent <address>", "a load balancer's agent, HOST:PORT; may be repeated", append)
    .option("--inference <address>", "an inference service; may be repeated", append)
    .option("--health <address>", "a health service; may be repeated", append)
    .option("--failover <address>", "a failover service; may be repeated", append)
    .option("--timeout <ms>", "for an answer", number(1, 3_600_000), 5000)
    .option("--json", "the answer as JSON", false);
}

export function common(command: Command): Command {
  return target(command).option("--lb <name>", "only the load balancer of this instance name or agent address");
}

/** An order holds wherever the pool is: it is not for one of the load balancers. */
export function poolWide(command: Command): Command {
  const refused = new Option("--lb <name>").hideHelp().argParser((name: string): never => {
    throw new InvalidArgumentError(`An order holds at all load balancers of the pool, not at ${name} alone.`);
  });
  return target(command).addOption(refused);
}

/** "127.0.0.1:9001=2" each. */
export function weightArguments(list: readonly string[]): { address: string; weight: number }[] {
  return list.map((text) => {
    const [, address = "", weight = ""] = /^(.+)=([^=]*)$/.exec(text) ?? [];
    if (!isIpPort(address) || weight === "" || !(Number(weight) >= 0) || !Number.isFinite(Number(weight))) {
      throw new InvalidArgumentError(`${text}: expected IP:PORT=WEIGHT, such as 127.0.0.1:9001=2.`);
    }
    return { address, weight: Number(weight) };
  });
}

export function address(text: string): string {
  if (!isIpPort(text)) throw new InvalidArgumentError('expected IP:PORT, such as 127.0.0.1:9001 or "[::1]:9001".');
  return text;
}
