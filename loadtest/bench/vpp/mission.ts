// SPDX-License-Identifier: Apache-2.0
// From packets of how many bytes one worker fills 10 Gbit/s.
import type { BenchOptions, Group } from "../harness.js";
import { mean, row } from "../row.js";
import { absent, clockHz, measure, serverList, start, steady, stream, sum } from "./vpp.js";

const LINE_GAP = 20; // bytes between two frames on the wire: preamble and gap
const WAYS = [
  { word: "l3dsr", rl: "udp 80 l3dsr", bar: "<= 64" },
  { word: "nat", rl: "udp 80 nat", bar: "<= 64" },
  { word: "ipip", rl: "udp 80 ipip4 src 10.2.0.1", bar: "<= 100" },
] as const;
const FLOWS = [
  { word: "4k", n: 4096 },
  { word: "262k", n: 262144 },
] as const;

const id = (way: string, flows: string): string => `vpp.mission_g4_${flows}.${way}`;

async function one(o: BenchOptions, way: (typeof WAYS)[number], flows: (typeof FLOWS)[number]): Promise<void> {
  const v = await start(16);
  try {
    await v.config([
      `lb rl set-shm ${v.dir}/shm`,
      "lb rl enable udp-timeout 3600",
      `lb rl set-vip b 10.1.0.2 ${way.rl}`,
      `lb rl set-servers ${serverList(16).join(" ")}`,
    ]);
    await stream(v, "rl", "10.1.0.2", flows.n);
    await measure(v, "rl", 100, 500);
    const hz = await clockHz(v);
    const samples: number[] = [];
    for (let i = 0; i < (o.quick ? 4 : 10); i++) {
      const all = await steady(async () => {
        const m = await measure(v, "rl", 70, 30);
        if (!m.has("lb-rl-ip4")) throw new Error("no packet came to lb-rl-ip4");
        return sum(
          m,
          [...m.keys()].filter((node) => node !== "pg-input"),
        );
      });
      samples.push(1e10 / 8 / (hz / all) - LINE_GAP);
    }
    const note = `${flows.n} flows; frame of 64 B at least, its checksum included: clocks of all nodes from ethernet-input to the interface, without a NIC's driver`;
    o.report(row(id(way.word, flows.word), "B", way.bar, mean(samples), note));
  } finally {
    await v.stop();
  }
}

export const mission: Group = {
  ids: FLOWS.flatMap((f) => WAYS.map((w) => id(w.word, f.word))),
  async run(o) {
    const why = await absent();
    for (const f of FLOWS)
      for (const w of WAYS) {
        if (!o.wants(id(w.word, f.word))) continue;
        if (why === undefined) await one(o, w, f);
        else o.report(row(id(w.word, f.word), "B", "", null, why));
      }
  },
};
