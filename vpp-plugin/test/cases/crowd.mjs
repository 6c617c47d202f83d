// SPDX-License-Identifier: Apache-2.0
// Many clients at once: floods of made-up ones, and two flows that a server's replies could not tell apart.
import { C4, range, s4 } from "../lib/bed.mjs";

const V = "10.9.0.1";
const syn = (sport, more) => ({ src: C4, dst: V, tcp: "S", sport, dport: 80, ...more });
const udp = (sport, more) => ({ src: C4, dst: V, udp: true, sport, dport: 80, payload: "u", ...more });
const servers = (n) => range(n, (i) => s4(i + 1)).join(" ");

export const groups = [
  {
    name: "floods",
    setup: [
      "lb rl disable",
      "lb rl enable flows 1024 half-open 8192",
      `lb rl set-vip u ${V} udp 80 l3dsr`,
      `lb rl set-servers vip u ${servers(4)}`,
      `lb rl set-vip s 10.9.0.2 tcp 80 l3dsr sticky`,
      `lb rl set-servers vip s ${servers(4)}`,
      `lb rl set-vip t 10.9.0.3 tcp 80 l3dsr`,
      `lb rl set-servers vip t ${servers(4)}`,
    ],
    cases: [
      {
        name: "single datagrams of made-up sources leave room for connections, and for datagrams that are answered or repeated",
        steps: [
          { send: range(100, (i) => udp(500 + i)), server: (o) => o.length === 100 },
          { send: range(100, (i) => udp(500 + i)), server: (o) => o.length === 100 },
          { send: range(3000, (i) => udp(2000 + i, { src: "10.0.0.10" })), server: (o) => o.length === 3000 },
          {
            send: range(20, (i) => [syn(800 + i, { dst: "10.9.0.3" }), syn(800 + i, { dst: "10.9.0.3", tcp: "A" })]).flat(),
            server: (o) => o.length === 40,
            errors: { "flow table full, placed by the ring": 0 },
          },
          { says: { "lb rl show flows max 10000 vip t": { test: (text) => text.match(/established/g)?.length === 20 } } },
        ],
      },
      {
        name: "SYNs of made-up clients of a sticky VIP take no room from connections",
        steps: [
          ...range(2, (n) => ({
            send: range(2000, (i) => ({ ...syn(1, { dst: "10.9.0.2" }), src: `10.0.${10 + 8 * n + (i >> 8)}.${i & 255}` })),
            server: (o) => o.length === 2000,
          })),
          {
            send: range(20, (i) => [syn(900 + i, { dst: "10.9.0.3" }), syn(900 + i, { dst: "10.9.0.3", tcp: "A" })]).flat(),
            server: (o) => o.length === 40,
            errors: { "flow table full, placed by the ring": 0 },
          },
        ],
      },
    ],
  },
  {
    name: "collisions",
    setup: [
      `lb rl set-vip a ${V} tcp 80 nat`,
      `lb rl set-servers vip a ${s4(1)}`,
      "lb rl set-vip b 10.9.0.2 tcp 80 nat",
      `lb rl set-servers vip b ${s4(1)} ${s4(2)}`,
      "lb rl nat interface pg1",
    ],
    cases: [
      {
        name: "NAT: a client port that is in use with a server is given another server; without one it is refused",
        steps: [
          { send: range(50, (i) => syn(1000 + i)), server: (o) => o.every((p) => p.dst === s4(1)) },
          {
            send: range(50, (i) => syn(1000 + i, { dst: "10.9.0.2" })),
            server: (o) => o.length === 50 && o.every((p) => p.dst === s4(2)),
            errors: { "NAT: client port in use": 0 },
          },
          { send: range(50, (i) => syn(3000 + i, { dst: "10.9.0.2" })), server: (o) => o.length === 50 },
          {
            cli: [`lb rl drain vip b ${s4(2)}`],
            send: [syn(1001, { dst: "10.9.0.2", src: "10.0.0.10" })],
            server: [{ dst: s4(1) }],
          },
          { send: [syn(1060), syn(1060, { dst: "10.9.0.2" })], server: [{ dst: s4(1) }], client: [{ tcp: "RA" }] },
        ],
      },
      {
        name: "NAT: flows of a VIP that was removed refuse nobody",
        steps: [
          { send: range(50, (i) => syn(5000 + i)), server: (o) => o.length === 50 },
          {
            cli: ["lb rl set-vip a del", `lb rl set-vip a2 ${V} tcp 80 nat`, `lb rl set-servers vip a2 ${s4(1)}`],
            send: range(50, (i) => syn(5000 + i)),
            server: (o) => o.length === 50,
          },
        ],
      },
    ],
  },
];
