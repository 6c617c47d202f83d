// SPDX-License-Identifier: Apache-2.0
// inference.* rows: a decision over 64 servers, on frames that marllb-dp published under traffic; gRPC excluded.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { RawFrame } from "../../../services/common/native/frame.js";
import { attachRegion } from "../../../services/common/native/region.js";
import { NODE_ARGS } from "../../../services/common/node-args.js";
import { projectRoot } from "../../../services/common/root.js";
import { Child } from "../../../testbed/process.js";
import { Stack } from "../../../testbed/stack.js";
import { sleep } from "../../../testbed/wait.js";
import { OpenLoop } from "../../demo/open-loop.js";
import { startServers, stopServers } from "../../demo/pool.js";
import type { BenchOptions, Group } from "../harness.js";
import { mean, quantile, row } from "../row.js";
import { absent, marl } from "./models.js";

const serverCount = 64;

/** Frames of 64 servers, 200 ms apart, as an agent would read them. */
async function frames(seconds: number): Promise<RawFrame[]> {
  const servers = await startServers(Array(serverCount).fill(1), 50);
  const stack = await Stack.dataPlane({ servers: servers.map((s) => ({ address: s.address })), tickMs: 400 });
  const out: RawFrame[] = [];
  const region = attachRegion(stack.region, () => void out.push(...(region.frames() ?? [])));
  try {
    const [host, port] = stack.vip.split(":") as [string, string];
    const traffic = new OpenLoop({ host, port: Number(port), ratePerS: 200, meanMs: 50, seed: 1 });
    traffic.start();
    await sleep(seconds * 1000);
    await traffic.stop();
    return out;
  } finally {
    region.close();
    await stack.stop();
    await stopServers(servers);
  }
}

export const inference: Group = {
  ids: ["inference.tick64_p99_ms", "inference.lbs_per_core"],
  async run(o: BenchOptions) {
    if (!existsSync(path.join(projectRoot, marl().file))) {
      o.report(row("inference.tick64_p99_ms", "ms", "<= 0.3", null, absent(marl())));
      o.report(row("inference.lbs_per_core", "LBs", ">= 1000", null, absent(marl())));
      return;
    }
    o.progress(`inference: frames of ${serverCount} servers under traffic, then decisions on them`);
    const taken = await frames(o.quick ? 6 : 10);
    const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-inference-"));
    try {
      const file = path.join(folder, "frames.json");
      const stored = taken.map((f) => ({
        dp_epoch: f.dpEpoch.toString(),
        generation: f.generation,
        seq: f.seq,
        hdr: f.hdr.toString("base64"),
        records: f.records.toString("base64"),
      }));
      writeFileSync(file, JSON.stringify(stored));
      const bench = path.join(projectRoot, "dist/services/inference/bench.js");
      const child = new Child([process.execPath, ...NODE_ARGS, bench, file, "marl"]);
      const r = JSON.parse(await child.line(120_000)) as { batch: number; tick_ms: number[]; step_us_cpu: number[] };
      await child.exited;
      const p50 = quantile(r.tick_ms, 0.5).value;
      const note = `decode, observe, marl.onnx, encode; one load balancer, ${serverCount} servers; p50 ${p50.toFixed(3)} ms`;
      o.report(row("inference.tick64_p99_ms", "ms", "<= 0.3", quantile(r.tick_ms, 0.99), note));
      const perCore = r.step_us_cpu.map((us) => 200_000 / us);
      const cost = mean(r.step_us_cpu).value;
      const how = `a decision every 200 ms each, ${serverCount} servers each, batches of ${r.batch}: ${cost.toFixed(1)} us of CPU a decision`;
      o.report(row("inference.lbs_per_core", "LBs", ">= 1000", mean(perCore), how));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
