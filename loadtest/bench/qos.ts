// SPDX-License-Identifier: Apache-2.0
// qos.* rows: the whole loop on real TCP. Three load balancers run at the same time, each in front of servers of its own (1, 2, 4 and 8
// cores of virtual capacity, processor sharing), and get the same arrivals and sizes: Kalman that is told nothing, least connections, and
// shortest expected delay that is told the capacities.

import { Stack } from "../../testbed/stack.js";
import { sleep } from "../../testbed/wait.js";
import { OpenLoop } from "../demo/open-loop.js";
import { startServers, stopServers } from "../demo/pool.js";
import type { DemoServer } from "../demo/server.js";
import type { BenchOptions, Group } from "./harness.js";
import { type Estimate, mean, ratio, row } from "./row.js";

const capacity = [1, 2, 4, 8];
const total = capacity.reduce((a, b) => a + b, 0);
const meanMs = 100;
const load = 0.8;
const warmupS = 10;

type Kind = "kalman" | "leastconn" | "known";

interface Result {
  meanMs: number;
  p99Ms: number;
  /** Jain's index of (mean queue / capacity) over the measured time. */
  jain: number;
}

class Pool {
  readonly queued = capacity.map(() => 0);
  samples = 0;

  private constructor(readonly servers: readonly DemoServer[]) {}

  static async start(seed: number): Promise<Pool> {
    return new Pool(await startServers(capacity, meanMs, seed));
  }

  sample(): void {
    for (const [i, s] of this.servers.entries()) this.queued[i] = (this.queued[i] as number) + s.jobs;
    this.samples++;
  }

  jain(): number {
    const x = this.queued.map((q, i) => q / this.samples / (capacity[i] as number));
    return x.reduce((a, b) => a + b, 0) ** 2 / (x.length * x.reduce((a, b) => a + b * b, 0));
  }

  async stop(): Promise<void> {
    await stopServers(this.servers);
  }
}

async function stack(kind: Kind, pool: Pool): Promise<Stack> {
  const servers = pool.servers.map((s, i) => ({ address: s.address, weight: kind === "known" ? (capacity[i] as number) : 1 }));
  return kind === "kalman" ? Stack.whole({ servers, policy: "kalman", mode: "sed" }) : Stack.dataPlane({ servers, mode: "sed" });
}

async function round(seed: number, seconds: number): Promise<Map<Kind, Result>> {
  const kinds: Kind[] = ["kalman", "leastconn", "known"];
  const pools = new Map<Kind, Pool>();
  const stacks: Stack[] = [];
  const loads = new Map<Kind, OpenLoop>();
  try {
    for (const kind of kinds) {
      const pool = await Pool.start(seed);
      pools.set(kind, pool);
      const s = await stack(kind, pool);
      stacks.push(s);
      const [host, port] = s.vip.split(":") as [string, string];
      loads.set(kind, new OpenLoop({ host, port: Number(port), ratePerS: (load * total * 1000) / meanMs, meanMs, seed }));
    }
    for (const l of loads.values()) l.start();
    await sleep(warmupS * 1000);
    for (const l of loads.values()) l.takeRecent();
    const sampler = setInterval(() => {
      for (const p of pools.values()) p.sample();
    }, 20);
    await sleep(seconds * 1000);
    clearInterval(sampler);
    const out = new Map<Kind, Result>();
    for (const kind of kinds) {
      const r = (loads.get(kind) as OpenLoop).takeRecent();
      if (r.failed > 0) throw new Error(`${kind}: ${JSON.stringify(r.failures)}`);
      out.set(kind, { meanMs: r.mean_ms, p99Ms: r.p99_ms, jain: (pools.get(kind) as Pool).jain() });
    }
    for (const l of loads.values()) await l.stop();
    return out;
  } finally {
    for (const s of stacks) await s.stop();
    for (const p of pools.values()) await p.stop();
  }
}

export const qos: Group = {
  ids: ["qos.kalman_vs_leastconn", "qos.kalman_vs_known", "qos.kalman.jain_load"],
  async run(o: BenchOptions) {
    const rounds: Map<Kind, Result>[] = [];
    for (let i = 0; i < (o.quick ? 1 : 4); i++) {
      o.progress(`qos round ${i + 1}: three load balancers, ${total} cores, load ${load}`);
      rounds.push(await round(100 + i, o.quick ? 20 : 60));
    }
    const of = (k: Kind, f: keyof Result) => rounds.map((r) => (r.get(k) as Result)[f]);
    const over = (b: Kind, f: keyof Result): Estimate => ratio(of("kalman", f).map((v, i) => v / (of(b, f)[i] as number)));
    const levels = (f: keyof Result) =>
      (["kalman", "leastconn", "known"] as const)
        .map((k) => `${k} ${mean(of(k, f)).value.toFixed(f === "jain" ? 3 : 0)}`)
        .join(", ");
    const note = `servers of ${capacity.join(", ")} cores, load ${load}, exponential ${meanMs} ms, 10-70 s`;
    o.report(
      row("qos.kalman_vs_leastconn.mean", "ratio", "<= 0.75", over("leastconn", "meanMs"), `ms: ${levels("meanMs")}; ${note}`),
    );
    o.report(
      row("qos.kalman_vs_leastconn.p99", "ratio", "<= 0.55", over("leastconn", "p99Ms"), `ms: ${levels("p99Ms")}; ${note}`),
    );
    o.report(row("qos.kalman_vs_known.mean", "ratio", "<= 1.10", over("known", "meanMs"), note));
    o.report(row("qos.kalman.jain_load", "index", "> 0.95", mean(of("kalman", "jain")), `jain: ${levels("jain")}`));
  },
};
