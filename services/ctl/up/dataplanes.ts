// SPDX-License-Identifier: Apache-2.0
// Which data planes there are.
import type { Dataplane, DataplaneContext } from "./dataplane.js";
import { embedded } from "./embedded.js";
import { vpp } from "./vpp.js";

export async function createDataplane(context: DataplaneContext): Promise<Dataplane> {
  return context.config.dataplane.kind === "vpp" ? vpp(context) : embedded(context);
}
