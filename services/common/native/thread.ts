// SPDX-License-Identifier: Apache-2.0
import { addon } from "./addon.js";

/**
 * Asks the scheduler to let this thread run soon after it wakes (a short time slice), as the tick's threads need on a busy machine.
 * False where the system does not allow it, which does no harm.
 */
export function promptThread(): boolean {
  return addon.prompt();
}
