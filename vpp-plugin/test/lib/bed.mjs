// SPDX-License-Identifier: Apache-2.0
// The test bed of packet cases: one VPP, clients on pg0, servers on pg1; packets in and out as descriptions.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { build, fromPcap, parse, toPcap } from "./packet.mjs";
import { Vpp } from "./vpp.mjs";

export const MAC = { client: "02:fe:00:00:00:01", server: "02:fe:00:00:00:02", pg2: "02:fe:00:00:00:03" };
export const C4 = "10.0.0.9";
export const C6 = "fd00::9";
export const range = (n, f) => Array.from({ length: n }, (_, i) => f(i));
export const s4 = (i) => `10.0.1.${i + 1}`;
export const s6 = (i) => `fd00:1::${(i + 1).toString(16)}`;
const serverMac = (i) => `02:00:00:00:01:${(i + 1).toString(16).padStart(2, "0")}`;

export { serverMac };

export class Bed {
  static async start(options) {
    const bed = new Bed();
    bed.v = await Vpp.start(options);
    bed.n = 0;
    const servers = Array.from({ length: 8 }, (_, i) => i + 1);
    await bed.v.config([
      `create packet-generator interface pg0 hw-addr ${MAC.client}`,
      `create packet-generator interface pg1 hw-addr ${MAC.server}`,
      "set interface ip address pg0 10.0.0.1/24",
      "set interface ip address pg1 10.0.1.1/24",
      "set interface ip address pg0 fd00::1/64",
      "set interface ip address pg1 fd00:1::1/64",
      "set interface state pg0 up",
      "set interface state pg1 up",
      ...[9, 10, 11].flatMap((i) => [
        `ip neighbor pg0 10.0.0.${i} 02:00:00:00:00:0${i - 8}`,
        `ip neighbor pg0 fd00::${i.toString(16)} 02:00:00:00:00:0${i - 8}`,
      ]),
      ...servers.flatMap((i) => [`ip neighbor pg1 ${s4(i)} ${serverMac(i)}`, `ip neighbor pg1 ${s6(i)} ${serverMac(i)}`]),
      `lb rl set-shm ${bed.v.dir}/shm`,
      "lb rl enable flows 65536 half-open 4096",
    ]);
    return bed;
  }

  /**
   * Sends frames on one side; what came out on each, parsed. Raw bytes are sent as they are. worker: whose queue they come to, one for
   * all or (packet) => worker, then all queues have theirs at about the same time. servers: the interface on the servers' side.
   */
  async exchange(side, packets, { frames = 1, node = "ethernet-input", worker, servers = "pg1" } = {}) {
    const id = this.n++;
    const file = (x) => `${this.v.dir}/${x}${id}.pcap`;
    const queues = new Map();
    for (const p of packets) {
      const w = typeof worker === "function" ? worker(p) : worker;
      const bytes = Buffer.isBuffer(p) ? p : build(p, { dmac: side === "client" ? MAC.client : (MAC[servers] ?? MAC.server) });
      queues.set(w, [...(queues.get(w) ?? []), node === "ethernet-input" ? bytes : bytes.subarray(14)]);
    }
    const pg = side === "client" ? "pg0" : servers;
    const streams = [...queues].map(([w, list], i) => {
      writeFileSync(file(`in${i}-`), toPcap(list));
      const on = w === undefined ? "" : ` worker ${w}`;
      const limit = list.length * frames;
      const name = `s${id}-${i}`;
      const make = `packet-generator new name ${name} limit ${limit} node ${node} interface ${pg}${on} pcap ${file(`in${i}-`)}`;
      return { name, limit, make };
    });
    const most = 100000;
    await this.v.config([
      `packet-generator capture pg0 pcap ${file("c")} count ${most}`,
      `packet-generator capture ${servers} pcap ${file("s")} count ${most}`,
      ...streams.map((s) => s.make),
      ...streams.map((s) => `packet-generator enable ${s.name}`),
    ]);
    const sent = /\S+\s+(Yes|No)\s+(\d+)/;
    for (let i = 0; i < 100; i++) {
      const lines = (await this.v.cli("show packet-generator")).split("\n");
      const done = streams.every((s) => {
        const m = sent.exec(lines.find((l) => l.startsWith(`${s.name} `)) ?? "");
        return m?.[1] === "No" || Number(m?.[2]) >= s.limit;
      });
      if (done) break;
      await sleep(20);
    }
    // A hand-off between workers that share cores waits for its turn several times.
    await sleep(this.v.workers > 1 ? 200 : 30);
    await this.v.config([
      "packet-generator capture pg0 disable",
      `packet-generator capture ${servers} disable`,
      ...streams.map((s) => `packet-generator delete ${s.name}`),
    ]);
    const read = (x) =>
      (existsSync(file(x)) ? fromPcap(readFileSync(file(x))) : []).map(parse).filter((p) => p.type !== 0x0806 && !ours(p));
    const out = { client: read("c"), server: read("s") };
    for (const x of ["c", "s", ...streams.map((_, i) => `in${i}-`)]) rmSync(file(x), { force: true });
    return out;
  }

  /** Error counters of our nodes by reason: { reason: count }. */
  async errors() {
    const out = {};
    for (const l of (await this.v.cli("show errors")).split("\n")) {
      const m = /^\s*(\d+)\s+(lb-rl-\S+)\s+(.*?)\s+(info|error|warn)\s*$/.exec(l);
      if (m) out[m[3].trim()] = (out[m[3].trim()] ?? 0) + Number(m[1]);
    }
    return out;
  }

  stop() {
    return this.v.stop();
  }
}

/** VPP's own chatter: neighbour discovery, MLD. */
const ours = (p) => p.icmp && ((p.icmp[0] >= 130 && p.icmp[0] <= 143) || p.dst?.startsWith("ff"));
