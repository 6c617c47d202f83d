// SPDX-License-Identifier: Apache-2.0
// Two whole marllbs side by side under the same load, one with every tick traced: what traces cost, and whether their times are right.
import { orderErrors, receiver } from "../../../testbed/otlp.js";
import { type Child, cpuNs } from "../../../testbed/process.js";
import { Stack, services } from "../../../testbed/stack.js";
import { sleep } from "../../../testbed/wait.js";
import { OpenLoop } from "../../demo/open-loop.js";
import { startServers, stopServers } from "../../demo/pool.js";
import type { BenchOptions } from "../harness.js";
import { exact, mean, row } from "../row.js";

const SERVERS = 8;
const TICK_MS = 200;
const BEGIN_S = 15;

const pidOf = (s: Stack, part: (typeof services)[number]): number => (s.parts.get(part) as Child).pid;

export async function traces(o: BenchOptions): Promise<void> {
  const rounds = o.quick ? 3 : 6;
  const seconds = o.quick ? 5 : 10;
  o.progress(`see: every tick traced beside none, ${rounds} rounds of ${seconds} s`);
  const servers = await startServers(Array(SERVERS).fill(1), 20);
  const sink = await receiver();
  const list = servers.map((s) => ({ address: s.address }));
  const made: Stack[] = [];
  const loads: OpenLoop[] = [];
  try {
    const plain = await Stack.whole({ servers: list, tickMs: TICK_MS });
    made.push(plain);
    const traced = await Stack.whole({
      servers: list,
      tickMs: TICK_MS,
      config: { tracing: { endpoint: sink.endpoint, sample_ms: 0 } },
    });
    made.push(traced);
    for (const s of made) {
      const [host, port] = s.vip.split(":") as [string, string];
      const load = new OpenLoop({ host, port: Number(port), ratePerS: 50, meanMs: 20, seed: 1 });
      load.start();
      loads.push(load);
    }
    await sleep(BEGIN_S * 1000); // connected, compiled, the agents' rehearsals after the start over
    const shares = new Map<string, number[]>(services.map((s) => [s, []]));
    const cpu = (): number[][] => made.map((s) => services.map((part) => cpuNs([pidOf(s, part)])));
    for (let r = 0; r < rounds; r++) {
      const before = cpu();
      const from = performance.now();
      await sleep(seconds * 1000);
      const after = cpu();
      const ns = (performance.now() - from) * 1e6;
      services.forEach((part, i) => {
        const used = (which: number): number => (after[which]?.[i] ?? 0) - (before[which]?.[i] ?? 0);
        shares.get(part)?.push((used(1) - used(0)) / ns);
      });
    }
    // Also of ticks that fail: the times must be right where somebody looks at them.
    (traced.parts.get("inference") as Child).process.kill("SIGSTOP");
    await sleep(1500);
    (traced.parts.get("inference") as Child).process.kill("SIGCONT");
    await sleep(3000);
    const spans = sink.spans();
    const wrong = orderErrors(spans);
    for (const w of wrong.slice(0, 10)) o.progress(w);
    const ticks = spans.filter((s) => s.name === "tick");
    const failed = ticks.filter((s) => s.error !== "").length;
    const order = exact(wrong.length, spans.length);
    const note = `${ticks.length} ticks, ${failed} of them failed (inference stopped for 1.5 s); negative durations, children outside`;
    o.report(row("see.span_order_errors", "spans", "<= 0", order, note));
    const all = [...shares].map(([name, list2]) => ({ name, e: mean(list2) }));
    const worst = all.reduce((a, b) => (b.e.value > a.e.value ? b : a));
    const others = all.map(({ name, e }) => `${name} ${(100 * e.value).toFixed(2)} %`).join(", ");
    o.report(row("see.trace_cpu_share", "cores", "<= 0.01", worst.e, `worst: ${worst.name}; more than untraced: ${others}`));
  } finally {
    for (const l of loads) await l.stop();
    for (const s of made) await s.stop();
    sink.stop();
    await stopServers(servers);
  }
}
