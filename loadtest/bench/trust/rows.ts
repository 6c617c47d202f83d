// SPDX-License-Identifier: Apache-2.0
// trust.* rows: how often an experiment is wrong and how long it takes, what the guardrail notices and what it does not, and what shadow and
// decision log cost beside a real loop.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as grpc from "@grpc/grpc-js";
import { ask } from "../../../services/common/grpc/ask.js";
import { v1 } from "../../../services/common/grpc/protos.js";
import { NODE_ARGS } from "../../../services/common/node-args.js";
import { programFile } from "../../../services/common/root.js";
import { Experiment } from "../../../services/common/trial/experiment.js";
import { Child } from "../../../testbed/process.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually, sleep } from "../../../testbed/wait.js";
import { OpenLoop } from "../../demo/open-loop.js";
import { startServers, stopServers } from "../../demo/pool.js";
import type { BenchOptions, Group } from "../harness.js";
import { exact, quantile, row } from "../row.js";
import { guardrail } from "./guard.js";
import { STEP_MS, Traffic, USUAL } from "./traffic.js";

const T0 = 1_700_000_000_000;
const HOUR_S = 3600;

/** One experiment on made-up traffic: seconds until it is decided; null: it never was. */
function decided(seed: number, effect: number, longestS: number): number | null {
  const e = new Experiment({
    id: "e",
    vip: "web",
    candidate: "a",
    baseline: "b",
    seed,
    startedAt: T0,
    blockMs: 10_000,
    share: 0.5,
    deadline: T0 + 1000 * longestS,
    by: "bench",
    reason: "",
  });
  const traffic = new Traffic({ ...USUAL, seed });
  for (let at = T0; e.running; at += STEP_MS) e.hear("edge1", traffic.step(e.armAt(at) === "candidate" ? 1 + effect : 1), at);
  const { verdict, endedAt } = e.standing();
  return verdict === "undecided" ? null : (endedAt - T0) / 1000;
}

function experiments({ quick, report, wants }: BenchOptions): void {
  const n = quick ? 100 : 1000;
  const note = `made-up traffic of 500 flows/s, blocks of 10 s`;
  if (wants("trust.experiment.type1")) {
    let wrong = 0;
    for (let i = 0; i < n; i++) if (decided(i + 1, 0, HOUR_S) !== null) wrong++;
    report(
      row(
        "trust.experiment.type1",
        "",
        "<= 0.05",
        exact(wrong / n, n),
        `A against A for an hour, ${wrong} of ${n} decided; ${note}`,
      ),
    );
  }
  if (wants("trust.experiment.power_5pct_s")) {
    const times = Array.from({ length: n / 10 }, (_, i) => decided(5000 + i, -0.05, 4 * HOUR_S) ?? 4 * HOUR_S);
    report(row("trust.experiment.power_5pct_s", "s", "<= 1800", quantile(times, 0.5), `median time to a true 5 %; ${note}`));
  }
}

/** Shadow and log beside a real loop of 64 servers. */
async function beside(o: BenchOptions): Promise<void> {
  const seconds = o.quick ? 20 : 120;
  const folder = mkdtempSync(path.join(tmpdir(), "marllb-trust-bench-"));
  const servers = await startServers(Array(64).fill(1), 20);
  const inference = { decisions: { folder: path.join(folder, "decisions") }, experiments: path.join(folder, "experiments") };
  const stack = await Stack.whole({
    servers: servers.map((s) => ({ address: s.address })),
    policy: "kalman",
    config: { inference },
  });
  const client = new v1.Inference(stack.at("inference"), grpc.credentials.createInsecure());
  try {
    const [host, port] = stack.vip.split(":") as [string, string];
    const load = new OpenLoop({ host, port: Number(port), ratePerS: 500, meanMs: 20, seed: 1 });
    load.start();
    await sleep(5000);
    // A connection that a busy machine left unanswered for a second is made anew.
    await eventually("the shadow is set", () =>
      ask(client, "SetShadow", { vip: "web", policy: "marl" }, 10_000).catch(() => null),
    );
    await sleep(seconds * 1000);
    const answer = await eventually("the shadow is asked for", () =>
      ask(client, "GetTrust", { vip: "web" }, 10_000).catch(() => null),
    );
    const [shadow] = answer.shadows;
    await load.stop();
    if (shadow) {
      const { cost_ms, steps, cut } = shadow;
      const note = `marl beside kalman, 64 servers, ${steps} steps${cut === "" ? "" : `, cut off: ${cut}`}; of a core, tick 200 ms`;
      o.report(row("trust.shadow.cpu_share", "", "<= 0.01", exact(cost_ms / 200, Number(steps)), note));
    }
  } finally {
    client.close();
    await stack.stop();
    await stopServers(servers);
  }
  const main = programFile("replay");
  const child = new Child([process.execPath, ...NODE_ARGS, main, "--folder", inference.decisions.folder]);
  const r = JSON.parse(await child.line(300_000)) as { ticks: number; compared: number; same: number; bytes: number };
  await child.exited;
  rmSync(folder, { recursive: true });
  const note = `64 servers, 500 flows/s, ${r.ticks} ticks, key records among them`;
  o.report(row("trust.log.bytes_per_tick", "bytes", "<= 2000", exact(r.bytes / r.ticks, r.ticks), note));
  o.report(row("trust.replay.same_decisions", "", ">= 1", exact(r.compared === r.ticks ? r.same / r.ticks : 0, r.ticks), note));
}

export const trust: Group = {
  ids: [
    "trust.experiment",
    "trust.guardrail",
    "trust.shadow.cpu_share",
    "trust.log.bytes_per_tick",
    "trust.replay.same_decisions",
  ],
  async run(o) {
    experiments(o);
    await guardrail(o);
    if (["trust.shadow.cpu_share", "trust.log.bytes_per_tick", "trust.replay.same_decisions"].some((id) => o.wants(id)))
      await beside(o);
  },
};
