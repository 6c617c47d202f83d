// SPDX-License-Identifier: Apache-2.0
import os from "node:os";
import path from "node:path";

/** Where contexts are kept, whether or not there are any. */
export function contextFile(env: NodeJS.ProcessEnv = process.env): string {
  if (env.MARLLB_CONTEXTS) return env.MARLLB_CONTEXTS;
  return path.join(env.XDG_CONFIG_HOME || path.join(os.homedir(), ".config"), "marllb", "contexts.yaml");
}
