// SPDX-License-Identifier: Apache-2.0
// Flags and arguments that all commands read the same way.
import { type Command, InvalidArgumentError } from "commander";
import { isIpPort } from "../../common/config/address.js";
import type { TargetFlags } from "../target.js";

export interface Common extends TargetFlags {
  json: boolean;
}

export function common(command: Command): Command {
  return command
    .option("--instance <name>", "a running instance (default: marllb)")
    .option("--config <file>", "addresses from this configuration instead")
    .option("--json", "the answer as JSON", false);
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
