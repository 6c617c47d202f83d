// SPDX-License-Identifier: Apache-2.0
// What both demo programs need as processes of a launcher: a ready line, and an end by signal or by the end of stdin.

export function ready(fields: Record<string, unknown>): void {
  process.stdout.on("error", () => {}); // the launcher died: its end of stdin follows
  process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid, ...fields })}\n`);
}

/** Resolves at SIGTERM, SIGINT or, where asked, the end of stdin. */
export function untilStopped(withStdin: boolean): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
    if (withStdin) {
      process.stdin.on("end", () => resolve()).on("error", () => resolve());
      process.stdin.resume();
    }
  });
}
