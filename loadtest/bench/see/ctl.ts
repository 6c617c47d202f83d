// SPDX-License-Identifier: Apache-2.0
// How long a person waits for `marllbctl status` of what runs on this host, the start of the program among it.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ctlCommand } from "../../../testbed/ctl.js";
import { Child } from "../../../testbed/process.js";
import { eventually } from "../../../testbed/wait.js";
import type { BenchOptions } from "../harness.js";
import { quantile, row } from "../row.js";

export async function ctlStatus(o: BenchOptions): Promise<void> {
  const times = o.quick ? 15 : 40;
  o.progress(`see: marllbctl status, ${times} times`);
  const name = `bench-ctl-${process.pid}`;
  const up = new Child(
    ctlCommand("up", "--instance", name, "--plain", "--rate", "0", "--demo-cores", "1,1", "--stop-with-stdin"),
  );
  try {
    const [file, ...args] = ctlCommand("status", "--instance", name);
    const status = async (): Promise<string> => (await promisify(execFile)(file, args)).stdout;
    await eventually("the load balancer is steered", async () => /inference, model/.test(await status().catch(() => "")));
    const ms: number[] = [];
    for (let i = 0; i < times; i++) {
      const from = performance.now();
      const said = await status();
      ms.push(performance.now() - from);
      if (!said.includes("attached to")) throw new Error(`marllbctl status: ${said}`);
    }
    const note = `wall time of the process, of an instance of this host; p90 ${quantile(ms, 0.9).value.toFixed(0)} ms`;
    o.report(row("see.ctl_status_ms_p50", "ms", "<= 250", quantile(ms, 0.5), note));
  } finally {
    await up.stop();
  }
}
