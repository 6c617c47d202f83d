// SPDX-License-Identifier: Apache-2.0
// As many VIPs and servers as a region may be made for, and what says so where there are more.
import { C4, range, s4 } from "../lib/bed.mjs";

const vip = (i) => `10.9.${i >> 8}.${i & 255}`;
const other = (i) => `10.0.1.${100 + i}`;
const neighbours = range(15, (i) => `ip neighbor pg1 ${other(i)} 02:00:00:00:02:${(i + 16).toString(16)}`);
const syn = (dst, sport, more) => ({ src: C4, dst, tcp: "S", sport, dport: 80, ...more });
const enabled = (limits) => ["lb rl disable", `lb rl enable flows 65536 half-open 4096 ${limits}`];
const tos = (i) => ((i % 50) + 1) << 2;

const full = {
  name: "limits full",
  options: { statseg: "256m" },
  setup: [...enabled("max-vips 1024 max-servers 16384"), ...neighbours],
  cases: [
    {
      name: "1024 VIPs with 16384 servers take flows, the first as the last; one more of either is refused",
      steps: [
        { says: { "lb rl show config": /region of 1024 VIPs and 16384 servers/ } },
        { all: range(1024, (i) => `lb rl set-vip v${i} ${vip(i)} tcp 80 l3dsr dscp ${(i % 50) + 1}`) },
        { all: range(1024, (i) => `lb rl set-servers vip v${i} ${s4((i % 8) + 1)} ${range(15, other).join(" ")}`) },
        { says: { "lb rl set-vip more 10.8.0.1 tcp 80 l3dsr": /at most 1024 VIP prefixes/ } },
        { says: { "lb rl add-server vip v7 10.0.1.99": /16384 of 16384 of all VIPs/ } },
        { says: { "lb rl show config": /VIP \[1024\] v1023 10\.9\.3\.255\/32 tcp 80 l3dsr dscp 24 .*max-servers 64/ } },
        ...[0, 63, 64, 255, 256, 1023].map((i) => ({ send: [syn(vip(i), 1000 + i)], server: [{ tos: tos(i) }] })),
        { until: { "lb rl show weights vip v1023": /mode sed/ } },
        { all: ["lb rl set-vip v500 del"] },
        { send: [syn(vip(500), 1), syn(vip(501), 1)], server: [{ tos: tos(501) }] },
      ],
    },
  ],
};

/** Replies are recognised by their server's address, whatever number of VIPs has it. */
const NAT = 200;
const shared = {
  name: "limits shared",
  setup: [
    ...enabled("max-vips 256"),
    "lb rl nat interface pg1",
    ...range(NAT, (i) => `lb rl set-vip n${i} ${vip(i)} tcp 80 nat max-servers 8`),
    ...range(NAT, (i) => `lb rl set-servers vip n${i} ${s4(1)}`),
  ],
  cases: [
    {
      name: "the replies of a server that 200 VIPs share come from the VIP of their flow",
      steps: range(4, (k) => k * 66).flatMap((i) => [
        { send: [syn(vip(i), 5000 + i)], server: [{ dst: s4(1) }] },
        {
          from: "server",
          send: [{ src: s4(1), dst: C4, tcp: "SA", sport: 80, dport: 5000 + i }],
          client: [{ src: vip(i), sport: 80 }],
        },
      ]),
    },
    {
      name: "a VIP that leaves leaves the others' replies alone, until one is left",
      steps: [
        { all: range(NAT - 2, (i) => `lb rl set-vip n${i} del`) },
        { send: [syn(vip(NAT - 2), 6001), syn(vip(NAT - 1), 6002)], server: [{ dst: s4(1) }, { dst: s4(1) }] },
        {
          from: "server",
          send: [6001, 6002].map((dport) => ({ src: s4(1), dst: C4, tcp: "SA", sport: 80, dport })),
          client: [{ src: vip(NAT - 2) }, { src: vip(NAT - 1) }],
        },
      ],
    },
  ],
};

const A = "10.9.9.9";
const ports = {
  name: "limits ports",
  setup: range(4, (i) => `lb rl set-vip p${i} ${A} tcp ${80 + i} l3dsr dscp ${i + 1}`),
  cases: [
    {
      name: "ports of one address, few and many, with and without a VIP for all others",
      steps: [
        { all: range(4, (i) => `lb rl set-servers vip p${i} ${s4(i + 1)}`) },
        { send: [80, 83].map((dport) => syn(A, 1, { dport })), server: [{ tos: 4 }, { tos: 16 }] },
        { all: ["lb rl set-vip p0 del"], send: [syn(A, 2, { dport: 80 })], client: [{ tcp: "RA" }] },
        { send: [81, 82, 83].map((dport) => syn(A, 2, { dport })), server: [{ tos: 8 }, { tos: 12 }, { tos: 16 }] },
        { all: [`lb rl set-vip all ${A} l3dsr dscp 9`, `lb rl set-servers vip all ${s4(5)}`] },
        { send: [80, 81].map((dport) => syn(A, 3, { dport })), server: [{ tos: 36 }, { tos: 8 }] },
        {
          all: range(8, (i) => [
            `lb rl set-vip q${i} ${A} tcp ${90 + i} l3dsr dscp ${20 + i}`,
            `lb rl set-servers vip q${i} ${s4(i + 1)}`,
          ]).flat(),
        },
        {
          send: [80, 81, 90, 97].map((dport) => syn(A, 4, { dport })),
          server: [{ tos: 36 }, { tos: 8 }, { tos: 80 }, { tos: 108 }],
        },
        { all: ["lb rl set-vip q7 del", "lb rl set-vip all del"] },
        { send: [syn(A, 5, { dport: 96 }), syn(A, 5, { dport: 97 })], server: [{ tos: 104 }], client: [{ tcp: "RA" }] },
      ],
    },
  ],
};

const small = {
  name: "limits small",
  options: { statseg: "12m" },
  cases: [
    {
      name: "64 VIPs without a word, and a stat segment without room for another one is said, not died of",
      steps: [
        { says: { "lb rl show config": /region of 64 VIPs and 4096 servers/ } },
        { all: range(64, (i) => `lb rl set-vip v${i} ${vip(i)} tcp 80 l3dsr max-servers 4`) },
        { says: { "lb rl set-vip more 10.8.0.1 tcp 80 l3dsr max-servers 4": /there are 64 VIPs already/ } },
        { all: enabled("max-vips 512") },
        ...range(32, (i) => ({ says: { [`lb rl set-vip v${i} ${vip(i)} tcp 80 l3dsr max-servers 1024`]: /^$|stat segment/ } })),
        {
          says: {
            "lb rl set-vip more 10.8.0.1 tcp 80 l3dsr max-servers 1024": /stat segment has \d+ KB left, a VIP .* needs \d+/,
          },
        },
        { all: ["lb rl disable"], says: { "lb rl enable max-vips 1025": /at most 1024 VIPs and 16384 servers, not 1025/ } },
      ],
    },
  ],
};

export const groups = [full, shared, ports, small];
