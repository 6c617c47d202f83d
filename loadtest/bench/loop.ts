// SPDX-License-Identifier: Apache-2.0
// loop.* rows: from a frame's publication by the data plane to its weights in effect there (last worker passed), through shared memory, the
// agent and inference as separate processes; watched from outside (marllb-load effects reads the region).

import { Child, nativeBin } from "../../testbed/process.js";
import { Stack } from "../../testbed/stack.js";
import { sleep } from "../../testbed/wait.js";
import { OpenLoop } from "../demo/open-loop.js";
import { startServers, stopServers } from "../demo/pool.js";
import type { BenchOptions, Group } from "./harness.js";
import { mean, quantile, row } from "./row.js";

const serverCount = 64;
const ticks = [10, 20, 50, 100];

interface Effects {
  frames: number;
  effects: number;
  in_time: number;
  effects_ms: number[];
  /** The way of as many processes without our code, after it on the same stack: what the scheduler alone makes of it. */
  hops_ms: number[];
}

async function watch(tickMs: number, seconds: number): Promise<Effects> {
  const servers = await startServers(Array(serverCount).fill(1), 20);
  const stack = await Stack.whole({ servers: servers.map((s) => ({ address: s.address })), tickMs, policy: "kalman" });
  try {
    const [host, port] = stack.vip.split(":") as [string, string];
    const traffic = new OpenLoop({ host, port: Number(port), ratePerS: 100, meanMs: 20, seed: 1 });
    traffic.start();
    await sleep(11_000); // connected, first checkpoints taken, the agent's warm-up requests after the start over
    const child = new Child([nativeBin("marllb-load"), "effects", "--region", stack.region, "--seconds", String(seconds)]);
    const result = JSON.parse(await child.line(seconds * 1000 + 10_000)) as Effects;
    await child.exited;
    // After it, not at the same time: three more processes on the same processors cost a tick .2 ms.
    const rounds = String(Math.min(100, 1000 / tickMs));
    const hops = new Child([nativeBin("marllb-load"), "hops", "--rate", rounds, "--seconds", String(seconds)]);
    result.hops_ms = (JSON.parse(await hops.line(seconds * 1000 + 10_000)) as Pick<Effects, "hops_ms">).hops_ms;
    await hops.exited;
    await traffic.stop();
    return result;
  } finally {
    await stack.stop();
    await stopServers(servers);
  }
}

const hopsNote = "three bare processes that hand a word over six times, .25 ms of work each, after it on the same stack";

export const loop: Group = {
  ids: ["loop.effect_p50_ms", "loop.effect_p99_ms", "loop.min_tick_ms"],
  async run(o: BenchOptions) {
    const seconds = o.quick ? 10 : 60;
    if (o.wants("loop.effect_p50_ms") || o.wants("loop.effect_p99_ms")) {
      o.progress(`loop: ${serverCount} servers, 200 ms tick, ${seconds} s`);
      const e = await watch(200, seconds);
      const note = `${serverCount} servers, 200 ms tick, ${e.effects} of ${Math.floor(e.frames / 2)} ticks, separate processes`;
      o.report(row("loop.effect_p50_ms", "ms", "<= 2", quantile(e.effects_ms, 0.5), note));
      o.report(row("loop.effect_p99_ms", "ms", "<= 10", quantile(e.effects_ms, 0.99), note));
      o.report(
        row(
          "loop.hops_p99_ms",
          "ms",
          "",
          quantile(e.hops_ms, 0.99),
          `${hopsNote}, p50 ${quantile(e.hops_ms, 0.5).value.toFixed(2)}`,
        ),
      );
    }
    if (!o.wants("loop.min_tick_ms")) return;
    const seen: string[] = [];
    let least: number | null = null;
    for (const tick of ticks) {
      o.progress(`loop: ${tick} ms tick, ${seconds} s`);
      const e = await watch(tick, seconds);
      const share = e.in_time / Math.floor(e.frames / 2);
      const bare = e.hops_ms.filter((ms) => ms < tick / 2).length / e.hops_ms.length;
      seen.push(
        `${tick} ms: ${(share * 100).toFixed(2)} % (p99 ${quantile(e.effects_ms, 0.99).value.toFixed(2)} ms; bare ${(bare * 100).toFixed(2)} %)`,
      );
      if (share < 0.999) continue;
      least = tick;
      break;
    }
    const note = `ticks whose weights were in effect before the next frame (half a tick later; bare: the like of ${hopsNote}): ${seen.join(", ")}; ${serverCount} servers, ${seconds} s each`;
    o.report(row("loop.min_tick_ms", "ms", "<= 20", least === null ? null : mean([least]), note));
  },
};
