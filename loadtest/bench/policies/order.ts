// SPDX-License-Identifier: Apache-2.0
// tcp.policy_order: strategies on real TCP through marllb-dp and the same strategies in the simulator, on the same pool and load. Wherever
// both give an order that is beyond doubt (intervals do not overlap), the two orders must agree, for the mean and for p99.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { projectRoot } from "../../../services/common/root.js";
import { Stack, type StackOptions } from "../../../testbed/stack.js";
import { sleep } from "../../../testbed/wait.js";
import { OpenLoop } from "../../demo/open-loop.js";
import { startServers, stopServers } from "../../demo/pool.js";
import type { BenchOptions, Group } from "../harness.js";
import { type Estimate, mean, row } from "../row.js";
import { marl } from "./models.js";
import { scenario } from "./sim.js";

const cores = [1, 2, 4, 8];
const total = cores.reduce((a, b) => a + b, 0);
const meanMs = 100;
const load = 0.7;

interface Strategy {
  name: string;
  simulated: string;
  policy: string;
  mode: NonNullable<StackOptions["mode"]>;
  /** Needs the services: its weights change. */
  whole: boolean;
}

/** Weights are configured equal while capacities are not, as in unknown-80; "known" is told the capacities. */
function strategies(): Strategy[] {
  const list: Strategy[] = [
    { name: "two choices", simulated: "uniform+p2c", policy: "uniform", mode: "p2c", whole: false },
    { name: "LSQ", simulated: "LSQ", policy: "uniform", mode: "sed", whole: false },
    { name: "known", simulated: "true+sed@kappa=1", policy: "static", mode: "sed", whole: false },
    { name: "kalman", simulated: "kalman+sed", policy: "kalman", mode: "sed", whole: true },
  ];
  const m = marl();
  if (m.strategy && existsSync(path.join(projectRoot, m.file)))
    list.push({ name: "marl", simulated: m.strategy, policy: "marl", mode: "sed", whole: true });
  return list;
}

interface Seen {
  mean: Estimate;
  p99: Estimate;
}

async function measure(s: Strategy, seed: number, seconds: number): Promise<{ mean: number; p99: number }> {
  const servers = await startServers(cores, meanMs, seed);
  const options: StackOptions = {
    servers: servers.map((d, i) => ({ address: d.address, weight: s.name === "known" ? (cores[i] as number) : 1 })),
    policy: s.policy,
    mode: s.mode,
  };
  const stack = s.whole ? await Stack.whole(options) : await Stack.dataPlane(options);
  try {
    const [host, port] = stack.vip.split(":") as [string, string];
    const traffic = new OpenLoop({ host, port: Number(port), ratePerS: (load * total * 1000) / meanMs, meanMs, seed });
    traffic.start();
    await sleep(10_000);
    traffic.takeRecent();
    await sleep(seconds * 1000);
    const r = traffic.takeRecent();
    await traffic.stop();
    return { mean: r.mean_ms, p99: r.p99_ms };
  } finally {
    await stack.stop();
    await stopServers(servers);
  }
}

/** -1, 1: the order of two figures is beyond doubt; 0: it is not. */
const order = (a: Estimate, b: Estimate): number => (a.high < b.low ? -1 : b.high < a.low ? 1 : 0);

export const policyOrder: Group = {
  ids: ["tcp.policy_order"],
  async run(o: BenchOptions) {
    const list = strategies();
    const seeds = o.quick ? [1, 2] : [1, 2, 3, 4];
    const real = new Map<string, { mean: number[]; p99: number[] }>(list.map((s) => [s.name, { mean: [], p99: [] }]));
    for (const seed of seeds) {
      o.progress(`tcp.policy_order: seed ${seed}, ${list.map((s) => s.name).join(", ")} at the same time`);
      const all = await Promise.all(list.map((s) => measure(s, seed, o.quick ? 15 : 40)));
      for (const [i, s] of list.entries()) {
        real.get(s.name)?.mean.push(all[i]?.mean as number);
        real.get(s.name)?.p99.push(all[i]?.p99 as number);
      }
    }
    const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-order-"));
    const simulated = new Map<string, Seen>();
    try {
      const file = path.join(folder, "order.json");
      const text = {
        name: "order",
        servers: cores.map((c) => ({ cores: c, weight: 1 })),
        load,
        load_balancers: 1,
        sizes: { kind: "exponential", mean_ms: meanMs },
        duration_s: 50,
        warmup_s: 10,
      };
      writeFileSync(file, JSON.stringify(text));
      const runs = { mean: new Map<string, number[]>(), p99: new Map<string, number[]>() };
      for (let seed = 1; seed <= 12; seed++) {
        const r = await scenario(file, { strategies: list.map((s) => s.simulated), seed });
        for (const s of list) {
          const figures = r.get(s.simulated) as { mean_ms: number; p99_ms: number };
          runs.mean.set(s.name, [...(runs.mean.get(s.name) ?? []), figures.mean_ms]);
          runs.p99.set(s.name, [...(runs.p99.get(s.name) ?? []), figures.p99_ms]);
        }
      }
      for (const s of list)
        simulated.set(s.name, { mean: mean(runs.mean.get(s.name) as number[]), p99: mean(runs.p99.get(s.name) as number[]) });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    const wrong: string[] = [];
    let decided = 0;
    for (const figure of ["mean", "p99"] as const) {
      for (const [i, a] of list.entries()) {
        for (const b of list.slice(i + 1)) {
          const here = order(mean(real.get(a.name)?.[figure] as number[]), mean(real.get(b.name)?.[figure] as number[]));
          const there = order(simulated.get(a.name)?.[figure] as Estimate, simulated.get(b.name)?.[figure] as Estimate);
          if (here === 0 || there === 0) continue;
          decided++;
          if (here !== there) wrong.push(`${a.name}/${b.name} ${figure}`);
        }
      }
    }
    const levels = list.map((s) => {
      const r = real.get(s.name) as { mean: number[]; p99: number[] };
      const v = simulated.get(s.name) as Seen;
      const two = (x: number, y: number) => `${x.toFixed(0)}/${y.toFixed(0)}`;
      return `${s.name} ${two(mean(r.mean).value, mean(r.p99).value)} (simulated ${two(v.mean.value, v.p99.value)})`;
    });
    const note = `${decided} pairs decided, ${wrong.length} in another order${wrong.length ? `: ${wrong.join(", ")}` : ""}; ms mean/p99: ${levels.join(", ")}`;
    o.report(row("tcp.policy_order", "agrees", ">= 1", mean([wrong.length === 0 && decided > 0 ? 1 : 0]), note));
  },
};
