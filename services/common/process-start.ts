// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

/** When a process was started, in the kernel's ticks: a pid alone comes again, in a container that is restarted always the same. */
export function startOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] as string;
}
