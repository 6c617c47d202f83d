// SPDX-License-Identifier: Apache-2.0
// Loss over memif at a set rate: a generating VPP, the one with the plugin, and back; what was sent less what came back.
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchOptions, Group } from "../harness.js";
import { exact, row } from "../row.js";
import { absent, favour, flowFrames, mac, modules, serverList, type Vpp, writePcap } from "./vpp.js";

const RATE = 500_000;
const SECONDS = 10;
const peer = "02:fe:00:00:01:01";
const servers = 16;
/** What memif's rings (four of 16384) and packets on their way hold, with pages of 4 KiB, which give fewer than are asked for. */
const BUFFERS = 200_000;

/** Both ends of both links: id 0 carries what is sent, id 1 what comes back. Rings hold 30 ms at the set rate. */
const memif = (socket: string, role: "master" | "slave", macs: string[]): string[] => [
  `create memif socket id 1 filename ${socket}`,
  ...[0, 1].map((id) => `create interface memif id ${id} socket-id 1 ring-size 16384 ${role} hw-addr ${macs[id]}`),
  "set interface state memif1/0 up",
  "set interface state memif1/1 up",
];

async function counter(v: Vpp, name: string, what: string): Promise<number> {
  const text = await v.cli(`show interface ${name}`);
  return Number(new RegExp(`${what}\\s+(\\d+)`).exec(text)?.[1] ?? 0);
}

async function until(what: string, holds: () => Promise<boolean>, ms: number): Promise<void> {
  for (let waited = 0; waited < ms; waited += 100) {
    if (await holds()) return;
    await sleep(100);
  }
  throw new Error(`${what}: not within ${ms} ms`);
}

async function run(o: BenchOptions): Promise<void> {
  const m = await modules();
  const found = m.findVpp();
  if (found.missing !== undefined) throw new Error(found.missing);
  const pluginDir = await m.buildVpp({ prefix: found.prefix });
  const plugins = ["memif_plugin.so"];
  const v = await m.Vpp.start({ prefix: found.prefix, pluginDir, workers: 1, plugins, buffers: BUFFERS });
  let from: Vpp | undefined;
  try {
    favour(v);
    /* The generator has no worker: it shares the first core with the other's main thread. */
    from = await m.Vpp.start({ prefix: found.prefix, pluginDir, workers: 0, plugins, buffers: BUFFERS });
    const gen = from;
    const list = serverList(servers);
    await v.config([
      ...memif(`${v.dir}/memif.sock`, "master", [peer, "02:fe:00:00:01:02"]),
      "set interface ip address memif1/0 10.3.0.1/24",
      "set interface ip address memif1/1 10.2.0.1/16",
      ...list.map((s, i) => `ip neighbor memif1/1 ${s} 02:00:00:00:01:${i.toString(16).padStart(2, "0")}`),
      `lb rl set-shm ${v.dir}/shm`,
      "lb rl enable udp-timeout 3600",
      "lb rl set-vip b 10.1.0.2/32 l3dsr",
      `lb rl set-servers ${list.join(" ")}`,
    ]);
    await gen.config([
      ...memif(`${v.dir}/memif.sock`, "slave", ["02:fe:00:00:02:01", "02:fe:00:00:02:02"]),
      "set interface ip address memif1/0 10.3.0.2/24",
      "set interface ip address memif1/1 10.2.255.2/16",
      `ip neighbor memif1/0 10.3.0.1 ${peer}`,
      "ip route add 10.1.0.2/32 via 10.3.0.1 memif1/0",
      `create packet-generator interface pg0 hw-addr ${mac}`,
      "set interface ip address pg0 10.0.0.1/24",
      "set interface state pg0 up",
    ]);
    await until("memif's links", async () => /memif1\/1 .*\bup\b/.test(await gen.cli("show interface")), 5000);
    const n = RATE * (o.quick ? 3 : SECONDS);
    const file = writePcap(gen, m, "loss", await flowFrames("10.1.0.2", 4096));
    await gen.config([`packet-generator new name loss limit ${n} rate ${RATE} node ethernet-input interface pg0 pcap ${file}`]);
    await gen.cli("packet-generator enable loss");
    const seen: [number, number][] = [];
    const ended = async (): Promise<boolean> => {
      const sent = Number(/^loss\s+\S+\s+(\d+)/m.exec(await gen.cli("show packet-generator"))?.[1] ?? 0);
      if (sent > 0 && sent < n) seen.push([Number(process.hrtime.bigint()) / 1e9, sent]);
      return sent >= n;
    };
    await until("the generator's end", ended, 60_000);
    const [first, last] = [seen[0], seen.at(-1)];
    const reached = first && last && last !== first ? (last[1] - first[1]) / (last[0] - first[0]) / 1e6 : Number.NaN;
    await sleep(300);
    const got = await counter(gen, "memif1/1", "rx packets");
    const there = await counter(v, "memif1/0", "rx packets");
    const loss = 1 - got / n;
    o.report(
      row(
        "vpp.loss",
        "of 1",
        "< 1e-4",
        exact(loss, n),
        `${n} packets of 64 B at ${RATE / 1e6} Mpps set (${reached.toFixed(2)} seen), memif there and back; ${n - there} lost on the way there, ${there - got} after`,
      ),
    );
  } finally {
    await from?.stop();
    await v.stop();
  }
}

export const loss: Group = {
  ids: ["vpp.loss"],
  async run(o) {
    const why = await absent();
    if (why !== undefined) o.report(row("vpp.loss", "of 1", "", null, why));
    else await run(o);
  },
};
