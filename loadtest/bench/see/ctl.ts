// SPDX-License-Identifier: Apache-2.0
// How long a person waits for `marllbctl status`, the start of the program among it.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { ctlCommand } from "../../../testbed/ctl.js";
import { Stack } from "../../../testbed/stack.js";
import { startServers, stopServers } from "../../demo/pool.js";
import type { BenchOptions } from "../harness.js";
import { quantile, row } from "../row.js";

export async function ctlStatus(o: BenchOptions): Promise<void> {
  const times = o.quick ? 15 : 40;
  o.progress(`see: marllbctl status, ${times} times`);
  const servers = await startServers(Array(4).fill(1), 20);
  const stack = await Stack.whole({ servers: servers.map((s) => ({ address: s.address })) });
  try {
    const [file, ...args] = ctlCommand("status", "--config", path.join(stack.folder, "marllb.yaml"));
    const ms: number[] = [];
    for (let i = 0; i < times; i++) {
      const from = performance.now();
      const { stdout } = await promisify(execFile)(file, args);
      ms.push(performance.now() - from);
      if (!stdout.includes("attached to")) throw new Error(`marllbctl status: ${stdout}`);
    }
    const note = `wall time of the process; p90 ${quantile(ms, 0.9).value.toFixed(0)} ms`;
    o.report(row("see.ctl_status_ms_p50", "ms", "<= 250", quantile(ms, 0.5), note));
  } finally {
    await stack.stop();
    await stopServers(servers);
  }
}
