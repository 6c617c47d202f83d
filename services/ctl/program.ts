// SPDX-License-Identifier: Apache-2.0
// The program with all its commands.
import { Command } from "commander";
import { version } from "../common/version.js";

export const newProgram = (): Command =>
  new Command("marllbctl")
    .description("starts and operates a marllb load balancer")
    .version(version)
    .enablePositionalOptions()
    .showHelpAfterError("(--help lists every flag)")
    .exitOverride();

/** Everything but `up`. gRPC is loaded for it: `up --help` and a wrong flag of `up` answer at once. */
export async function addCommands(program: Command): Promise<void> {
  const rooms = await Promise.all([
    import("./commands/agent.js"),
    import("./commands/live.js"),
    import("./commands/failover.js"),
    import("./commands/hold.js"),
    import("./commands/inference.js"),
    import("./commands/health.js"),
    import("./commands/mode.js"),
    import("./commands/context.js"),
    import("./commands/process.js"),
    import("./commands/trust.js"),
    import("./commands/config.js"),
    import("./commands/dp-config.js"),
    import("./commands/vpp.js"),
    import("./commands/shell.js"),
  ]);
  for (const room of rooms) room.register(program);
}
