// SPDX-License-Identifier: Apache-2.0
import os from "node:os";

export const MAX_INSTANCE = 31;

/**
 * The instance's name where a configuration gives none: the host's, whole where it is short enough, so that the load balancers of a site
 * differ without anybody's doing.
 */
export function hostInstance(host = os.hostname()): string {
  const plain = host.replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "");
  const name = plain.length <= MAX_INSTANCE ? plain : (plain.split(".")[0] as string).slice(0, MAX_INSTANCE);
  return name || "marllb";
}
