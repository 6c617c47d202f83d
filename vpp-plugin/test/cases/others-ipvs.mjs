// SPDX-License-Identifier: Apache-2.0
// What IPVS does by default, under NAT.
import { C4, range, s4 } from "../lib/bed.mjs";

const V = "10.9.0.1";

const nat = (flags, sport, more) => ({ src: C4, dst: V, tcp: flags, sport, dport: 80, ...more });
const back = (flags, dport, server, more) => ({ src: server, dst: C4, tcp: flags, sport: 80, dport, ...more });
const handshake = (sport, server) => [
  { send: [nat("S", sport)], server: [{ tcp: "S", dst: server, sums: "ok" }] },
  { from: "server", send: [back("SA", sport, server, { ack: 1001 })], client: [{ src: V, tcp: "SA", sums: "ok" }] },
  { send: [nat("A", sport, { seq: 1001 })], server: [{ tcp: "A", dst: server }] },
];
const ipvs = {
  name: "others ipvs",
  setup: [`lb rl set-vip n ${V} tcp 80 nat`, `lb rl set-servers vip n ${s4(1)}`, "lb rl nat interface pg1"],
  cases: [
    {
      name: "ipvs: a connection's packets go to the server that its SYN went to, though another one comes",
      steps: [
        ...handshake(1, s4(1)),
        {
          cli: [`lb rl add-server vip n ${s4(2)}=1000`],
          send: range(20, () => nat("PA", 1, { payload: "x" })),
          server: range(20, () => ({ dst: s4(1), sums: "ok" })),
        },
      ],
    },
    {
      name: "ipvs: a server that is quiesced (weight 0, here drain) keeps its connections and gets no new ones",
      steps: [
        {
          cli: [`lb rl drain vip n ${s4(1)}`],
          send: range(20, (i) => nat("S", 100 + i)),
          server: range(20, () => ({ dst: s4(2) })),
        },
        { send: [nat("PA", 1, { payload: "y" })], server: [{ dst: s4(1) }] },
        { cli: [`lb rl drain vip n ${s4(1)} off`] },
      ],
    },
    {
      name: "ipvs: a server that is removed keeps its connections; their close reaches it from both sides",
      steps: [
        { cli: [`lb rl del-server vip n ${s4(1)}`], send: [nat("PA", 1, { payload: "z" })], server: [{ dst: s4(1) }] },
        { from: "server", send: [back("FA", 1, s4(1), { seq: 5, ack: 1001 })], client: [{ src: V, tcp: "FA" }] },
        { send: [nat("FA", 1)], server: [{ dst: s4(1), tcp: "FA" }] },
        { from: "server", send: [back("A", 1, s4(1), { seq: 6, ack: 1001 })], client: [{ src: V, tcp: "A" }] },
        { send: [nat("A", 1)], server: [{ dst: s4(1) }] },
        { cli: [`lb rl add-server vip n ${s4(1)}`] },
      ],
    },
    {
      name: "ipvs: with no server a connect is refused at once",
      steps: [
        {
          cli: ["lb rl set-vip empty 10.9.0.9 nat"],
          send: range(5, (i) => nat("S", 300 + i, { dst: "10.9.0.9" })),
          client: range(5, () => ({ src: "10.9.0.9", tcp: "RA", sums: "ok" })),
        },
        {
          send: range(5, (i) => ({ src: C4, dst: "10.9.0.9", udp: true, sport: 310 + i, dport: 9 })),
          client: range(5, () => ({ icmp: [3, 3] })),
        },
      ],
    },
    {
      name: "ipvs: the same client port again after a close is a new connection",
      steps: [
        { send: [nat("S", 400)], server: [{ tcp: "S" }] },
        { send: [nat("RA", 400, { seq: 1001 })], server: [{ tcp: "RA" }] },
        { send: [nat("S", 400)], server: [{ tcp: "S", sums: "ok" }] },
      ],
    },
    {
      name: "ipvs: persistence: all connections of a client go to one server, of many clients to all",
      steps: [
        { cli: ["lb rl set-vip p 10.9.0.5 tcp 80 nat sticky", `lb rl set-servers vip p ${s4(1)} ${s4(2)} ${s4(3)}`] },
        ...range(6, (c) => ({
          send: range(10, (i) => ({ ...nat("S", 500 + i), dst: "10.9.0.5", src: `10.0.0.${9 + (c % 3)}` })),
          server: (p) => p.length === 10 && new Set(p.map((x) => x.dst)).size === 1,
        })),
      ],
    },
  ],
};

export const groups = [ipvs];
