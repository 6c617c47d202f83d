// SPDX-License-Identifier: Apache-2.0
// failover.* rows that the data plane and the loop answer for: how soon a server that fails gets nothing, and what clients see of it.
import net from "node:net";
import { Stack } from "../../../testbed/stack.js";
import { sleep } from "../../../testbed/wait.js";
import { OpenLoop } from "../../demo/open-loop.js";
import { startServers, stopServers } from "../../demo/pool.js";
import type { DemoServer } from "../../demo/server.js";
import type { BenchOptions, Group } from "../harness.js";
import { exact, mean, quantile, row } from "../row.js";
import { Bed, type Counts, type Origin } from "./bed.js";

const POLL_MS = 5;
/** The data plane's counts are as old as its last frame, half a tick: at 200 ms nothing shorter than 100 ms would be seen. */
const TICK_MS = 20;
/** What a data plane tries by itself after it put a server out is a probe, not a flow that was sent there. */
const tries = (c: Counts): number => c.refusals + c.unanswered - c.ejections;

/** Milliseconds from the first failed connect to the last that was no probe, within `ms`. */
async function lastSent(bed: Bed, of: Origin, ms: number): Promise<number> {
  const from = await bed.counts(of);
  let first: number | undefined;
  let last = 0;
  let seen = tries(from);
  for (const end = performance.now() + ms; performance.now() < end; await sleep(POLL_MS)) {
    const now = tries(await bed.counts(of));
    if (now === seen) continue;
    seen = now;
    last = performance.now();
    first ??= last;
  }
  return first === undefined ? 0 : last - first;
}

/** Until the server gets flows again. */
async function back(bed: Bed, of: Origin): Promise<void> {
  const before = (await bed.counts(of)).newFlows;
  for (const end = performance.now() + 60_000; ; await sleep(50)) {
    if ((await bed.counts(of)).newFlows >= before + 5) return;
    if (performance.now() > end) throw new Error(`${of.address} gets no flows a minute after it came back`);
  }
}

async function closedPort(o: BenchOptions): Promise<void> {
  const bed = await Bed.start(4, false, { tickMs: TICK_MS });
  const samples: number[] = [];
  try {
    bed.load(60);
    await sleep(1000);
    for (let i = 0; i < (o.quick ? 4 : 25); i++) {
      const origin = bed.origins[i % 4] as Origin;
      await bed.between(() => origin.order("close"));
      samples.push(await lastSent(bed, origin, 1500));
      await origin.order("open");
      await back(bed, origin);
    }
    await bed.quiet();
  } finally {
    await bed.stop();
  }
  const note = `60 new connections/s over 4 servers, after the first refusal; probes of a server that is out do not count`;
  o.report(row("failover.closed_port.last_sent_ms_p99", "ms", "<= 100", quantile(samples, 0.99), note));
  const { asked, failed } = bed.clients;
  o.report(row("failover.closed_port.client_errors", "", "<= 0", exact(failed, asked), `of ${asked} clients`));
}

/** Fills the queue of a stopped origin: from then on the kernel drops SYNs, as a host that is gone would. */
async function silence(of: Origin): Promise<net.Socket[]> {
  of.stopped();
  const [host, port] = of.address.split(":") as [string, string];
  const filling: net.Socket[] = [];
  for (;;) {
    const s = net.connect(Number(port), host);
    s.on("error", () => {});
    filling.push(s);
    const taken = await Promise.race([
      new Promise<boolean>((r) => s.once("connect", () => r(true))),
      sleep(150).then(() => false),
    ]);
    if (!taken) return filling;
  }
}

async function silentHost(o: BenchOptions): Promise<void> {
  const CONNECT_TIMEOUT_MS = 200;
  const bed = await Bed.start(4, false, { tickMs: TICK_MS, backlog: 1, lines: [`connect-timeout ${CONNECT_TIMEOUT_MS}ms`] });
  const samples: number[] = [];
  try {
    bed.load(60);
    await sleep(1000);
    for (let i = 0; i < (o.quick ? 4 : 25); i++) {
      const origin = bed.origins[i % 4] as Origin;
      const filling = await silence(origin);
      samples.push(await lastSent(bed, origin, 2000));
      for (const s of filling) s.destroy();
      origin.continued();
      await back(bed, origin);
    }
    await bed.quiet();
  } finally {
    await bed.stop();
  }
  const note = `from the first connect that timed out; 60 new connections/s over 4 servers, connect time-out ${CONNECT_TIMEOUT_MS} ms`;
  o.report(row("failover.silent_host.last_sent_ms_p99", "ms", `<= ${CONNECT_TIMEOUT_MS + 100}`, quantile(samples, 0.99), note));
}

/** Share of the new flows that a server gets in each window of `everyMs`. */
async function shares(bed: Bed, of: Origin, everyMs: number, windows: number): Promise<number[]> {
  const out: number[] = [];
  const total = (all: Map<string, Counts>): number => [...all.values()].reduce((a, c) => a + c.newFlows, 0);
  let before = await bed.all();
  for (let i = 0; i < windows; i++) {
    await sleep(everyMs);
    const now = await bed.all();
    const all = total(now) - total(before);
    const own = (now.get(of.address)?.newFlows ?? 0) - (before.get(of.address)?.newFlows ?? 0);
    out.push(all > 0 ? own / all : 0);
    before = now;
  }
  return out;
}

async function hang(o: BenchOptions): Promise<void> {
  const times: number[] = [];
  const WINDOW_S = 0.25;
  for (let i = 0; i < (o.quick ? 1 : 5); i++) {
    const bed = await Bed.start(4, true, { policy: "marl" });
    try {
      bed.load(200);
      await sleep(4000);
      const origin = bed.origins[1] as Origin;
      origin.stopped();
      const seen = await shares(bed, origin, WINDOW_S * 1000, 24);
      const late = seen.findLastIndex((s) => s >= 0.05);
      times.push((late + 1) * WINDOW_S);
    } finally {
      await bed.stop();
    }
  }
  const note = "one of 4 accepts and never answers (its process is stopped); 200 connections/s, marl, windows of 0.25 s";
  o.report(row("failover.hang.share_below_5pct_s", "s", "<= 3", mean(times), note));
}

async function failFast(o: BenchOptions): Promise<void> {
  const over: number[] = [];
  const seconds = o.quick ? 5 : 15;
  for (const policy of ["marl", "kalman", "static"]) {
    const bed = await Bed.start(8, true, { policy });
    try {
      bed.load(200);
      await sleep(3000);
      const origin = bed.origins[3] as Origin;
      await origin.order("quick");
      const seen = await shares(bed, origin, 1000, seconds);
      over.push(mean(seen.slice(1)).value * 8);
    } finally {
      await bed.stop();
    }
  }
  const note = `one of 8 accepts and closes at once; share of the new flows over 1/8, from the 2nd second to the ${seconds}th; worst of marl, kalman, static`;
  const worst = Math.max(...over);
  o.report(
    row(
      "failover.fail_fast.share_over_fair",
      "ratio",
      "<= 0.5",
      { value: worst, low: Math.min(...over), high: worst, n: 3 },
      note,
    ),
  );
}

async function slow(o: BenchOptions): Promise<void> {
  const times: number[] = [];
  let ejected = 0;
  const CORES = [4, 4, 4, 4];
  for (let i = 0; i < (o.quick ? 1 : 4); i++) {
    const servers: DemoServer[] = await startServers(CORES, 50, 40 + i);
    const stack = await Stack.whole({ servers: servers.map((s) => ({ address: s.address })), policy: "marl" });
    const bed = Bed.over(stack);
    const [host, port] = stack.vip.split(":") as [string, string];
    const load = new OpenLoop({ host, port: Number(port), ratePerS: 190, meanMs: 50, seed: 11 + i });
    load.start();
    try {
      await sleep(8000);
      const one = servers[2] as DemoServer;
      await fetch(`http://${one.address}/-/speed?x=0.333&s=60`);
      const of = one.address;
      const WINDOW_S = 0.25;
      const seen = await shares(bed, { address: of } as Origin, WINDOW_S * 1000, 40);
      // Its part of the capacity is 1/10 now; it follows when its share stays halfway there or better, over one second each.
      const smooth = seen.map((_, k) => mean(seen.slice(Math.max(0, k - 3), k + 1)).value);
      times.push((smooth.findLastIndex((s) => s > (0.25 + 0.1) / 2) + 1) * WINDOW_S);
      ejected += (await bed.all()).get(of)?.ejections ?? 0;
    } finally {
      await load.stop();
      await stack.stop();
      await stopServers(servers);
    }
  }
  const note =
    "one of 4 equal servers at a third of its speed, marl, load .6; until its share of new flows stays past halfway to its part";
  o.report(row("failover.slow3x.share_follows_s", "s", "<= 2", mean(times), note));
  o.report(row("failover.slow3x.ejected", "", "<= 0", exact(ejected, times.length), "times"));
}

async function allDown(o: BenchOptions): Promise<void> {
  const refusal: number[] = [];
  const full: number[] = [];
  const bed = await Bed.start(4, true, { policy: "marl" });
  try {
    bed.load(100);
    await sleep(4000);
    for (let i = 0; i < (o.quick ? 2 : 10); i++) {
      for (const x of bed.origins) await x.order("close");
      await sleep(i % 2 === 0 ? 500 : 6000); // before health has seen it, and long after
      for (let k = 0; k < 10; k++) refusal.push((await bed.ask()).ms);
      for (const x of bed.origins) await x.order("open");
      full.push(await fullService(bed));
      await sleep(3000);
    }
    await bed.quiet();
  } finally {
    await bed.stop();
  }
  o.report(
    row(
      "failover.all_down.refusal_ms",
      "ms",
      "<= 50",
      quantile(refusal, 0.99),
      "all 4 servers refuse: 99th percentile of a client's wait for its end",
    ),
  );
  const note = "from all 4 answering again to the last client that was not served";
  o.report(row("failover.all_back.full_service_ms", "ms", "<= 1000", quantile(full, 0.99), `${note}; 99th percentile`));
}

/** Milliseconds to the last failure of clients that come every 10 ms, in 3 s. */
async function fullService(bed: Bed): Promise<number> {
  const from = performance.now();
  let last = 0;
  const asked: Promise<unknown>[] = [];
  for (const end = from + 3000; performance.now() < end; await sleep(10)) {
    const at = performance.now() - from;
    asked.push(bed.ask().then((r) => void (last = r.served ? last : Math.max(last, at))));
  }
  await Promise.all(asked);
  return last;
}

const rows: readonly [id: string, run: (o: BenchOptions) => Promise<void>][] = [
  ["failover.closed_port", closedPort],
  ["failover.silent_host", silentHost],
  ["failover.hang", hang],
  ["failover.fail_fast", failFast],
  ["failover.slow3x", slow],
  ["failover.all_", allDown],
];

export const outage: Group = {
  ids: rows.map(([id]) => id),
  async run(o: BenchOptions) {
    for (const [id, run] of rows) {
      if (!o.wants(id)) continue;
      o.progress(id);
      await run(o);
    }
  },
};
