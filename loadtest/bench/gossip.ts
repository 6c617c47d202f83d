// SPDX-License-Identifier: Apache-2.0
// gossip.* rows: live counts shared between load balancers, on real TCP, by running agents that failover makes known to each other.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { cpuNs, freePort } from "../../testbed/process.js";
import { Stack, type StackServer } from "../../testbed/stack.js";
import { sleep } from "../../testbed/wait.js";
import { OpenLoop } from "../demo/open-loop.js";
import { startServers, stopServers } from "../demo/pool.js";
import type { BenchOptions, Group } from "./harness.js";
import { mean, ratio, row } from "./row.js";

/** Of the comparison: 20 servers of 24 cores in all, whose weights are right. */
const cores = [...Array(16).fill(1), ...Array(4).fill(2)] as number[];
const total = cores.reduce((a, b) => a + b, 0);
const lbs = 4;
const meanMs = 100;
const load = 0.9;
const warmupS = 10;
/** Of the costs. */
const costLbs = 6;
const costServers = 64;

/** Load balancers in front of the same servers, with one of each service; with or without counts shared. */
class Site {
  readonly stacks: Stack[] = [];
  readonly #folder = mkdtempSync(path.join(os.tmpdir(), "marllb-gossip-"));

  static async start(n: number, servers: readonly StackServer[], policy: string, shared: boolean): Promise<Site> {
    const site = new Site();
    try {
      for (let i = 0; i < n; i++) await site.#add(servers, policy, shared);
      return site;
    } catch (e) {
      await site.stop();
      throw e;
    }
  }

  async #add(servers: readonly StackServer[], policy: string, shared: boolean): Promise<void> {
    const [first] = this.stacks;
    const at = (s: "inference" | "health" | "failover"): string => (first as Stack).at(s);
    const peers = first ? { inference: at("inference"), health: at("health"), failover: at("failover") } : {};
    const stack = await Stack.dataPlane({
      servers,
      policy,
      peers,
      ...(shared ? { config: { counts: { listen: `127.0.0.1:${await freePort()}`, key_file: this.#keyFile() } } } : {}),
    });
    this.stacks.push(stack);
    for (const part of first ? (["shm-agent"] as const) : (["failover", "health", "inference", "shm-agent"] as const))
      await stack.start(part);
  }

  #keyFile(): string {
    const file = path.join(this.#folder, "key");
    writeFileSync(file, "the key of this benchmark's site\n", { mode: 0o600 });
    return file;
  }

  get ports(): number[] {
    return this.stacks.map((s) => Number(s.vip.split(":")[1]));
  }

  /** Resolves when each hears all others. */
  async heard(): Promise<void> {
    const n = this.stacks.length - 1;
    for (let i = 0; i < 300; i++) {
      const up = await Promise.all(this.stacks.map((s) => metric(s, "marllb_counts_peer_up")));
      if (up.every((x) => x === n)) return;
      await sleep(200);
    }
    throw new Error("the load balancers do not hear each other");
  }

  dataPlaneNs(): number {
    return cpuNs(this.stacks.map((s) => s.parts.get("dataplane")?.pid ?? -1));
  }

  async stop(): Promise<void> {
    for (const s of [...this.stacks].reverse()) await s.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Sum of a figure's series in an agent's /metrics. */
async function metric(stack: Stack, name: string): Promise<number> {
  let sum = 0;
  for (const line of (await stack.scrape("shm-agent")).split("\n"))
    if (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) sum += Number(line.split(" ").at(-1));
  return sum;
}

const sumOf = async (site: Site, name: string): Promise<number> =>
  (await Promise.all(site.stacks.map((s) => metric(s, name)))).reduce((a, b) => a + b, 0);

interface Latency {
  meanMs: number;
  p99Ms: number;
}

/** The same arrivals and sizes for the same seed, spread over the load balancers at random. */
async function latency(shared: boolean, seed: number, seconds: number): Promise<Latency> {
  const servers = await startServers(cores, meanMs, seed);
  const site = await Site.start(
    lbs,
    servers.map((s, i) => ({ address: s.address, weight: cores[i] as number })),
    "marl",
    shared,
  );
  try {
    if (shared) await site.heard();
    const ratePerS = (load * total * 1000) / meanMs;
    const traffic = new OpenLoop({ host: "127.0.0.1", port: 0, ports: site.ports, ratePerS, meanMs, seed });
    traffic.start();
    await sleep(warmupS * 1000);
    traffic.takeRecent();
    await sleep(seconds * 1000);
    const r = traffic.takeRecent();
    await traffic.stop();
    if (r.failed > 0) throw new Error(JSON.stringify(r.failures));
    return { meanMs: r.mean_ms, p99Ms: r.p99_ms };
  } finally {
    await site.stop();
    await stopServers(servers);
  }
}

async function compare(o: BenchOptions): Promise<void> {
  const own: Latency[] = [];
  const shared: Latency[] = [];
  const seconds = o.quick ? 30 : 90;
  for (let i = 0; i < (o.quick ? 2 : 6); i++) {
    // ABBA: a drift of the machine's speed falls on both.
    for (const first of i % 2 === 0 ? [false, true] : [true, false]) {
      o.progress(
        `gossip: ${lbs} load balancers, load ${load}, ${first ? "counts shared" : "own counts"}, ${seconds} s, seed ${i + 1}`,
      );
      (first ? shared : own).push(await latency(first, 500 + i, seconds));
    }
  }
  for (const [figure, bar] of [
    ["meanMs", "<= 0.95"],
    ["p99Ms", "<= 0.90"],
  ] as const) {
    const e = ratio(shared.map((s, i) => s[figure] / (own[i] as Latency)[figure]));
    const ms = (l: Latency[]): string => mean(l.map((x) => x[figure])).value.toFixed(0);
    const note = `${lbs} data planes, marl, ${cores.length} servers of ${total} cores, load ${load}, counts every 20 ms; ms: ${ms(shared)} for ${ms(own)}`;
    o.report(row(`gossip.tcp4_vs_own.${figure === "meanMs" ? "mean" : "p99"}`, "ratio", bar, e, note));
  }
}

/** What sharing costs a load balancer while nothing else happens. */
async function costs(o: BenchOptions): Promise<void> {
  const seconds = o.quick ? 10 : 30;
  const servers = await startServers(Array(costServers).fill(1), 20);
  const list = servers.map((s) => ({ address: s.address }));
  const dataPlane: Record<string, number> = {};
  let bytes = 0;
  let thread = 0;
  try {
    for (const shared of [false, true]) {
      o.progress(`gossip: ${costLbs} load balancers, ${costServers} servers, ${shared ? "counts shared" : "own counts"}`);
      const site = await Site.start(costLbs, list, "kalman", shared);
      try {
        if (shared) await site.heard();
        const figures = async () => ({
          dp: site.dataPlaneNs(),
          bytes: shared ? await sumOf(site, "marllb_counts_sent_bytes_total") : 0,
          cpu: shared ? await sumOf(site, "marllb_counts_cpu_seconds_total") : 0,
          at: performance.now(),
        });
        const before = await figures();
        await sleep(seconds * 1000);
        const after = await figures();
        const of = costLbs * ((after.at - before.at) / 1000);
        dataPlane[String(shared)] = (after.dp - before.dp) / 1e9 / of;
        bytes = (after.bytes - before.bytes) / of;
        thread = (after.cpu - before.cpu) / of;
      } finally {
        await site.stop();
      }
    }
  } finally {
    await stopServers(servers);
  }
  const more = (dataPlane.true ?? 0) - (dataPlane.false ?? 0);
  const note = `${costLbs} load balancers, ${costServers} servers, counts every 20 ms, ${seconds} s`;
  o.report(row("gossip.bytes_per_lb_s", "B/s", "", mean([bytes]), `payload of the datagrams sent; ${note}`));
  const parts = `thread ${thread.toFixed(4)}, data plane ${more.toFixed(4)} more than without, without traffic`;
  o.report(row("gossip.cpu_share", "cores", "<= 0.01", mean([thread + more]), `a load balancer: ${parts}; ${note}`));
}

export const gossip: Group = {
  ids: ["gossip.tcp4_vs_own", "gossip.bytes_per_lb_s", "gossip.cpu_share"],
  async run(o: BenchOptions) {
    if (o.wants("gossip.bytes_per_lb_s") || o.wants("gossip.cpu_share")) await costs(o);
    if (o.wants("gossip.tcp4_vs_own")) await compare(o);
  },
};
