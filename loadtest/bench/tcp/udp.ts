// SPDX-License-Identifier: Apache-2.0
// udp.* rows: marllb-dp against nginx stream, the peer that load-balances UDP (HAProxy does not), one thread each.
import os from "node:os";
import type { BenchOptions, Group } from "../harness.js";
import { type LoadOptions, load, startOrigin } from "../load.js";
import { type Against, row } from "../row.js";
import { alternate, compare, type Figures, level, type Measured } from "./rounds.js";
import { absent, startTarget, type Target } from "./targets.js";

const cores = os.availableParallelism();

interface Spec {
  id: string;
  figure: "cpu_us" | "rate";
  bar: string;
  against: Against;
  load: LoadOptions;
  rounds: number;
}

/**
 * Small datagrams there and back, 64 clients of an address each: what DNS and voice look like, at a rate that the slower one carries and
 * as fast as it goes. Then 4 clients with 8 long datagrams in flight: what QUIC looks like.
 */
const specs: readonly Spec[] = [
  {
    id: "udp.cpu_per_packet.vs_peer",
    figure: "cpu_us",
    bar: "<= 0.6",
    against: "value",
    load: { mode: "udp", rate: 15000, conns: 64, sources: 64, seconds: 0.5, warmup: 0.05, bytes: 128 },
    rounds: 30,
  },
  {
    id: "udp.rate.vs_peer",
    figure: "rate",
    bar: ">= 1.5",
    against: "value",
    load: { mode: "udp", conns: 64, sources: 64, seconds: 1, warmup: 0.2, bytes: 128 },
    rounds: 10,
  },
  {
    id: "udp.train_cpu_per_packet.vs_peer",
    figure: "cpu_us",
    bar: "",
    against: "value",
    load: { mode: "udp", conns: 4, sources: 4, window: 8, seconds: 0.5, warmup: 0.05, bytes: 1200 },
    rounds: 10,
  },
];

async function visit(t: Target, o: LoadOptions, seed: number): Promise<Figures> {
  const before = t.cpuNs();
  const r = await load(t.address, { ...o, seed }, cores);
  const ns = t.cpuNs() - before;
  const whole = (o.warmup ?? 0) + (o.seconds ?? 1);
  // An answered datagram is two packets through the load balancer.
  return { cpu_us: ns / 1000 / (2 * r.requests * (whole / (o.seconds ?? 1))), rate: r.requests / r.seconds };
}

async function measure(o: BenchOptions, s: Spec, originPort: number): Promise<void> {
  const peer = absent("nginx");
  const targets: Target[] = [];
  try {
    for (const kind of peer ? (["marllb", "marllb"] as const) : (["marllb", "nginx", "marllb"] as const))
      targets.push(await startTarget(kind, originPort, { udp: true }));
    (targets.at(-1) as Target).name = "self";
    o.progress(`${s.id} ${JSON.stringify(s.load)}`);
    const m: Measured = await alternate(targets, 0, o.quick ? 4 : s.rounds, (t, seed) => visit(t, s.load, seed));
    const own = level(m, "marllb", s.figure).toPrecision(4);
    if (peer) o.report(row(s.id, "ratio", s.bar, null, `${s.figure} ${own}; ${peer}`));
    else {
      const note = `${s.figure}: marllb ${own}, nginx ${level(m, "nginx", s.figure).toPrecision(4)}`;
      o.report(row(s.id, "ratio", s.bar, compare(m, "marllb", "nginx", s.figure), note, s.against));
    }
    o.report(row(`${s.id}.self`, "ratio", "", compare(m, "marllb", "self", s.figure), `two of ours; ${s.figure} ${own}`));
  } finally {
    await Promise.all(targets.map((t) => t.stop()));
  }
}

export const udp: Group = {
  ids: specs.map((s) => s.id),
  async run(o) {
    const origin = await startOrigin(cores, "--udp");
    try {
      for (const s of specs) if (o.wants(s.id)) await measure(o, s, origin.port);
    } finally {
      await origin.child.stop();
    }
  },
};
