// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { type UpOptions, upFlags } from "../up/options.js";

export function register(program: Command): void {
  // What starts is loaded once the flags are good: a wrong one answers at once.
  upFlags(program.command("up")).action(async (o: UpOptions) => {
    const { up } = await import("../up/main.js");
    process.exitCode = await up(o);
  });
}
