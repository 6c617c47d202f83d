// SPDX-License-Identifier: Apache-2.0
// Settings that change under traffic: the worker goes on, and no packet is lost but what the user switched off.
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Bed, C4, MAC, s4 } from "../lib/bed.mjs";
import { build, toPcap } from "../lib/packet.mjs";
import { ok, test } from "../lib/tap.mjs";

const V = "10.9.0.1";
const FLOWS = 64;
const ask = (i) => ({ src: C4, dst: V, udp: true, sport: 2000 + i, dport: 80, payload: "ask" });
const answer = (i) => ({ src: s4(1), dst: C4, udp: true, sport: 80, dport: 2000 + i, payload: "answer" });
const packets = (f) => Array.from({ length: FLOWS }, (_, i) => f(i));

/** Packets that the interface's counter of that name shows. */
async function counted(v, name, what) {
  return Number(new RegExp(`${what} packets\\s+(\\d+)`).exec(await v.cli(`show interface ${name}`))?.[1] ?? 0);
}

/** Runs the commands over and over, `rounds` files of them, while the stream sends 100 000 packets a second into pg1. */
async function underTraffic(bed, commands, rounds) {
  const v = bed.v;
  writeFileSync(`${v.dir}/t.pcap`, toPcap(packets(answer).map((p) => build(p, { dmac: MAC.server }))));
  await v.config([
    `packet-generator new name t limit 1000000000 rate 1e5 node ethernet-input interface pg1 pcap ${v.dir}/t.pcap`,
    "clear interfaces",
    "clear errors",
    "packet-generator enable t",
  ]);
  const many = Array.from({ length: 50 }, () => commands).flat();
  for (let i = 0; i < rounds; i++) await v.config(many);
  await v.config(["packet-generator disable t"]);
  await sleep(200);
  const [sent, arrived] = [await counted(v, "pg1", "rx"), await counted(v, "pg0", "tx")];
  await v.config(["packet-generator delete t"]);
  ok(v.alive, `vpp ended: ${v.ended}\n${v.out.slice(-2000)}`);
  ok(sent > 1000, `only ${sent} packets were sent`);
  // The generator's interface counts a last vector that it does not send.
  ok(sent - arrived < 256, `${sent - arrived} of ${sent} packets did not arrive\n${await v.cli("show errors")}`);
  ok(!/null-node/.test(await v.cli("show errors")), "packets fell into null-node");
}

const cases = [
  [
    "a NAT interface is set and unset 2000 times under traffic: every packet arrives",
    async (bed) => {
      await underTraffic(bed, ["lb rl nat interface pg1", "lb rl nat interface pg1 del"], 20);
      await bed.v.config(["lb rl nat interface pg1"]);
      const out = await bed.exchange("server", packets(answer));
      ok(out.client.length === FLOWS && out.client.every((p) => p.src === V), "answers are not translated afterwards");
    },
  ],
  [
    "disable and enable with a NAT interface, 100 times under traffic: every packet arrives",
    async (bed) => {
      const on = [
        "lb rl enable flows 1024 half-open 1024",
        `lb rl set-vip v ${V} udp 80 nat`,
        `lb rl set-servers ${s4(1)}`,
        "lb rl nat interface pg1",
      ];
      await underTraffic(bed, ["lb rl disable", ...on], 2);
    },
  ],
  [
    "with nothing to do the main thread's step comes a hundred times a second, not as fast as it can",
    async ({ v }) => {
      await v.config(["clear runtime"]);
      await sleep(1000);
      const line = (await v.cli("show runtime")).split("\n").find((l) => l.startsWith("lb-rl-process"));
      const suspends = Number(
        line
          ?.replace(/"?(any|event) wait"?/, "wait")
          .trim()
          .split(/\s+/)[4],
      );
      ok(suspends > 0 && suspends < 500, `${suspends} steps in a second:\n${line}`);
    },
  ],
  [
    "an interface that is deleted takes its setting along; the next of its number is set anew",
    async (bed) => {
      const name = await bed.v.cli("create loopback interface");
      await bed.v.config([`lb rl nat interface ${name}`]);
      ok((await bed.v.cli("lb rl show config")).includes(`nat interface ${name}`), "the interface is not listed");
      await bed.v.config([`delete loopback interface intfc ${name}`]);
      ok(!/nat interface (?!pg1)/.test(await bed.v.cli("lb rl show config")), "a deleted interface is still listed");
      const again = await bed.v.cli("create loopback interface");
      await bed.v.config([`lb rl nat interface ${again}`]);
      const features = await bed.v.cli(`show interface features ${again}`);
      ok(/lb-rl-return4/.test(features), `the feature is not on:\n${features}`);
    },
  ],
];

async function run(options) {
  const bed = await Bed.start(options);
  try {
    await bed.v.config([`lb rl set-vip v ${V} udp 80 nat`, `lb rl set-servers ${s4(1)}`]);
    await bed.exchange("client", packets(ask));
    for (const [name, fn] of cases) await test(`toggle: ${name}`, () => fn(bed));
  } finally {
    await bed.stop();
  }
}

export const groups = [{ name: "toggle", count: cases.length, run }];
