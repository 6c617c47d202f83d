// SPDX-License-Identifier: Apache-2.0
// node dist/services/inference/bench.js FRAMES.json POLICY: what a decision costs, gRPC excluded. FRAMES.json: one VIP's frames, a tick
// apart, {dp_epoch, generation, seq, hdr, records} with base64 bytes. Prints one JSON object:
//   tick_ms: times of single decisions (one load balancer), step_us_cpu: CPU a decision when `batch` load balancers ask together.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Frame__Output } from "../../gen/marllb/v1/Frame.js";
import { createLog } from "../common/log.js";
import { observationShape, observe } from "../common/native/observe.js";
import { projectRoot } from "../common/root.js";
import { Batcher } from "./batcher.js";
import { Catalog } from "./catalog.js";
import { Session } from "./session.js";

interface Stored {
  dp_epoch: string;
  generation: number;
  seq: number;
  hdr: string;
  records: string;
}

const [file, policy] = process.argv.slice(2);
if (!file || !policy) {
  process.stderr.write("usage: bench.js FRAMES.json POLICY\n");
  process.exit(2);
}
const frames = (JSON.parse(readFileSync(file, "utf8")) as Stored[]).map(
  (f) =>
    ({
      ...f,
      vip_id: 1,
      hdr: Buffer.from(f.hdr, "base64"),
      records: Buffer.from(f.records, "base64"),
    }) as unknown as Frame__Output,
);
const { schema, schemas } = observationShape;
const catalog = await Catalog.open(
  join(projectRoot, "models"),
  schemas,
  createLog("inference-bench", "bench", { level: "warn", time: "unix" }).log,
);
catalog.need(policy);
const batch = 64;
/** As many as the agent's warm-up requests after a stream opened. */
const warmSteps = 2000;

function session(batcher: Batcher): Session {
  return new Session(policy as string, {
    observe,
    catalog,
    batcher,
    observationSchema: schema,
    nowUs: () => performance.now() * 1000,
    onFailure(what, e) {
      throw new Error(`${what}: ${(e as Error).message}`);
    },
  });
}

const tickMs: number[] = [];
const alone = new Batcher(0, () => 1);
const warmRounds = Math.ceil(warmSteps / frames.length);
for (let round = 0; round < warmRounds + 35; round++) {
  const s = session(alone);
  for (const f of frames) {
    const start = performance.now();
    await s.step(f);
    if (round >= warmRounds) tickMs.push(performance.now() - start);
    // As between two ticks: nothing of one decision runs on into the next.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const stepUs: number[] = [];
const together = new Batcher(0, () => batch);
for (let round = 0; round < 12; round++) {
  const all = Array.from({ length: batch }, () => session(together));
  const before = process.cpuUsage();
  for (const f of frames) await Promise.all(all.map((s) => s.step(f)));
  const used = process.cpuUsage(before);
  if (round >= 2) stepUs.push((used.user + used.system) / (batch * frames.length));
}
process.stdout.write(`${JSON.stringify({ batch, tick_ms: tickMs, step_us_cpu: stepUs })}\n`);
