// SPDX-License-Identifier: Apache-2.0
// The program with its commands. A command's own files, and what they import, are loaded when it is asked for: gRPC, the configuration's
// schema and the addon take longer to load than most answers take to come.
import { Command } from "commander";
import { version } from "../common/version.js";

export interface Room {
  /** First words of its commands. */
  words: readonly string[];
  load(): Promise<{ register(program: Command): void }>;
}

/** In the order of the help. */
export const ROOMS: readonly Room[] = [
  { words: ["up"], load: () => import("./commands/up.js") },
  { words: ["status", "stats", "weights"], load: () => import("./commands/agent.js") },
  { words: ["top", "events", "watch"], load: () => import("./commands/live.js") },
  { words: ["servers", "override", "pool"], load: () => import("./commands/failover.js") },
  { words: ["drain", "undrain", "maintenance", "history"], load: () => import("./commands/hold.js") },
  { words: ["explain", "policy"], load: () => import("./commands/inference.js") },
  { words: ["check"], load: () => import("./commands/health.js") },
  { words: ["mode"], load: () => import("./commands/mode.js") },
  { words: ["context"], load: () => import("./commands/context.js") },
  { words: ["log-level"], load: () => import("./commands/process.js") },
  { words: ["trust", "shadow", "experiment", "replay"], load: () => import("./commands/trust.js") },
  { words: ["config"], load: () => import("./commands/config.js") },
  { words: ["dp-config"], load: () => import("./commands/dp-config.js") },
  { words: ["vpp"], load: () => import("./commands/vpp.js") },
];
/** Their answer is made of all commands. */
const OF_ALL: Room = { words: ["completion", "manual"], load: () => import("./commands/shell.js") };

export const newProgram = (): Command =>
  new Command("marllbctl")
    .description("starts and operates a marllb load balancer")
    .version(version)
    .enablePositionalOptions()
    .showHelpAfterError("(--help lists every flag)")
    .exitOverride();

/** The commands of the room that has this first word; of all rooms where none has it, so that help and suggestions are whole. */
export async function addCommands(program: Command, word?: string): Promise<void> {
  const own = ROOMS.find((r) => word !== undefined && r.words.includes(word));
  const rooms = await Promise.all((own ? [own] : [...ROOMS, OF_ALL]).map((r) => r.load()));
  for (const room of rooms) room.register(program);
}
