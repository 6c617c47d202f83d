// SPDX-License-Identifier: Apache-2.0
// Weight changes at 1024 servers: from publishing to the worker's having passed the swap, barriers taken, and what they cost packets.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type DecodedFrame, decodeFrame, type RawFrame } from "../../../services/common/native/frame.js";
import { attachRegion, type Region } from "../../../services/common/native/region.js";
import type { BenchOptions, Group } from "../harness.js";
import { exact, quantile, ratio, row } from "../row.js";
import { absent, measure, serverList, start, steady, stream, sum, type Vpp } from "./vpp.js";

const N = 1024;

/**
 * Microseconds from the vector's making to the last worker's having passed its table, and of them: the agent makes and publishes it
 * (here the benchmark does); VPP's main thread is woken, reads it and swaps the table; the worker comes to its loop's top.
 */
interface Effect {
  all: number;
  agent: number;
  main: number;
  worker: number;
  /** That the threads on that way waited for a core from then until the benchmark saw the effect. */
  waited: number;
}

/** What was not held up by the machine's other processes: nobody waited longer for a core. */
const UNDISTURBED_US = 100;

/** Microseconds that threads have waited for a core so far: VPP's main thread, waker and worker, and this process's. */
function waits(v: Vpp): () => number {
  const tasks = `/proc/${v.child.pid}/task`;
  const name = (t: string): string => readFileSync(`${tasks}/${t}/comm`, "utf8").trim();
  const ids = readdirSync(tasks).filter((t) => t === String(v.child.pid) || /^(vpp_wk|lb_rl_waker)/.test(name(t)));
  const files = [...ids.map((t) => `${tasks}/${t}/schedstat`), `/proc/${process.pid}/task/${process.pid}/schedstat`];
  return () => files.reduce((sum, f) => sum + Number(readFileSync(f, "utf8").split(" ")[1]) / 1000, 0);
}

/** Publishes vectors to the one VIP of a region and hears when they took effect. */
class Writer {
  readonly region: Region;
  #raw: RawFrame | undefined;
  #frame: DecodedFrame | undefined;
  #seed = 1;

  constructor(file: string) {
    this.region = attachRegion(file, () => {});
  }

  async frame(): Promise<void> {
    for (let i = 0; i < 100; i++) {
      for (const f of this.region.frames() ?? []) {
        this.#raw = f;
        this.#frame = decodeFrame(f);
      }
      if (this.#frame && this.#frame.ids.length === N) return;
      await sleep(20);
    }
    throw new Error("no frame with all servers");
  }

  /** When the last vector was begun to be made, and when the data plane had been woken for it; CLOCK_MONOTONIC ns. */
  at = 0n;
  woken = 0n;

  /** One vector of fresh random weights; its sequence. */
  publish(): number {
    const [raw, frame] = [this.#raw, this.#frame];
    if (!raw || !frame) throw new Error("no frame yet");
    const weights = Float32Array.from({ length: N }, () => {
      this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
      return 0.5 + this.#seed / 2 ** 32;
    });
    this.at = process.hrtime.bigint();
    const p = this.region.publish({
      frame: raw,
      ids: frame.ids,
      raw: weights,
      stat: frame.weightStatic,
      factor: null,
      prev: null,
      ejected: null,
      bias: null,
      load: null,
      trust: 3,
      stepRatio: 0,
      dt: 0.2,
      ejectedCap: 0.05,
      newcomersWait: false,
      flags: new Uint8Array(N),
      exact: false,
      kappa: 0,
      loadBalancers: 1,
      loadBalancer: 0,
      mode: 0,
      ladder: 1,
      state: 0,
      term: 0n,
    });
    this.woken = process.hrtime.bigint();
    this.region.beat();
    if (p.refused !== null) throw new Error(`refused: ${p.refused}`);
    return p.seq;
  }

  async effect(waited: () => number): Promise<Effect> {
    const before = waited();
    const seq = this.publish();
    const us = (from: bigint, to: bigint): number => Math.max(0, Number(to - from) / 1000);
    for (let i = 0; i < 400; i++) {
      for (const e of this.region.effects())
        if (e.seq === seq && e.allNs > 0n)
          return {
            all: us(this.at, e.allNs),
            agent: us(this.at, this.woken),
            main: us(this.woken, e.swapNs),
            worker: us(e.swapNs, e.allNs),
            waited: waited() - before,
          };
      await sleep(2);
    }
    throw new Error(`vector ${seq} took no effect`);
  }
}

const barriers = async (v: Vpp): Promise<number> =>
  Number(/barriers since start (\d+)/.exec(await v.cli("lb rl show stats"))?.[1]);

async function run(o: BenchOptions): Promise<void> {
  const v = await start(N);
  let writer: Writer | undefined;
  try {
    await v.config([`lb rl set-shm ${v.dir}/shm`, "lb rl enable udp-timeout 3600", "lb rl set-vip b 10.1.0.2/32 l3dsr"]);
    const list = serverList(N);
    const file: string[] = [];
    for (const s of list) file.push(`lb rl add-server ${s}`);
    await v.config(file);
    await stream(v, "rl", "10.1.0.2", 65536);
    await measure(v, "rl", 100, 300);
    writer = new Writer(`${v.dir}/shm`);
    await writer.frame();
    await v.cli("packet-generator enable rl");
    // A session of vppctl takes some itself: what two questions in a row differ by.
    const first = await barriers(v);
    const before = await barriers(v);
    const seen: Effect[] = [];
    const waited = waits(v);
    for (let i = 0; i < (o.quick ? 100 : 400); i++) {
      seen.push(await writer.effect(waited));
      await sleep(5 + (i % 7));
    }
    const taken = (await barriers(v)) - before - (before - first);
    await v.cli("packet-generator disable rl");
    const parts = (of: readonly Effect[]): string =>
      (["all", "agent", "main", "worker"] as const)
        .map((k) =>
          [0.5, 0.99]
            .map((q) =>
              quantile(
                of.map((e) => e[k]),
                q,
              ).value.toFixed(0),
            )
            .join(", "),
        )
        .map((text, i) => `${["all", "agent", "main", "worker"][i]} ${text}`)
        .join("; ");
    const free = seen.filter((e) => e.waited < UNDISTURBED_US);
    const note = `p99 of ${seen.length}, 1024 servers, worker at full load; p50, p99: ${parts(seen)}; of the ${free.length} in which no thread waited ${UNDISTURBED_US} us for a core: ${free.length ? parts(free) : "-"}`;
    o.report(
      row(
        "vpp.weights_1024_effect_us",
        "us",
        "<= 1000",
        quantile(
          seen.map((e) => e.all),
          0.99,
        ),
        note,
      ),
    );
    o.report(row("vpp.weights_barriers", "barriers", "<= 0", exact(taken, seen.length), "barrier_sync_count over those changes"));
    const ratios: number[] = [];
    for (let i = 0; i < (o.quick ? 8 : 24); i++) {
      const at: number[] = [];
      for (const on of [false, true, true, false]) {
        const w = writer;
        const timer = on ? setInterval(() => w.publish(), 20) : undefined;
        at.push(await steady(async () => sum(await measure(v, "rl", 80, 30), ["lb-rl-ip4"])));
        clearInterval(timer);
      }
      const [a, b, c, d] = at as [number, number, number, number];
      ratios.push((b + c) / (a + d));
    }
    o.report(
      row("vpp.clocks_at_50_updates.vs_none", "x", "<= 1.02", ratio(ratios), "65536 flows, 1024 servers, 50 vectors a second"),
    );
  } finally {
    writer?.region.close();
    await v.stop();
  }
}

export const weights: Group = {
  ids: ["vpp.weights_1024_effect_us", "vpp.weights_barriers", "vpp.clocks_at_50_updates.vs_none"],
  async run(o) {
    const why = await absent();
    if (why === undefined) return run(o);
    for (const id of this.ids) o.report(row(id, "", "", null, why));
  },
};
