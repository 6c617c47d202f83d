// SPDX-License-Identifier: Apache-2.0
// QUIC connection IDs that name a server: `quic-lb N`, the plaintext algorithm of the QUIC-LB draft.
import { C4, C6, range, s4, s6 } from "../lib/bed.mjs";

const V = "10.9.0.1";
const V6 = "fd00:9::1";
/** A connection ID: config bits, the server's last bytes, a nonce. */
const id = (server, config = 0) => Buffer.from([(config << 5) | 7, ...server, 0xaa, 0xbb, 0xcc, 0xdd]);
const of = (i) => id([1, i + 1]); // s4(i) ends in .1.(i + 1)
const short = (cid) => Buffer.concat([Buffer.from([0x43]), cid, Buffer.alloc(20, 9)]);
const long = (type, cid, version = 1) => {
  const head = Buffer.from([0xc0 | (type << 4), 0, 0, 0, 0, cid.length]);
  head.writeUInt32BE(version, 1);
  return Buffer.concat([head, cid, Buffer.from([0]), Buffer.alloc(20, 9)]);
};
const udp = (sport, payload, more) => ({ src: C4, dst: V, udp: true, sport, dport: 443, payload, ...more });
const to = (i) => [{ dst: s4(i), sums: "ok" }];
const six = (sport, payload) => ({ src: C6, dst: V6, udp: true, sport, dport: 443, payload });

export const groups = [
  {
    name: "quic",
    setup: [
      `lb rl set-vip q ${V} udp 443 l3dsr quic-lb 2`,
      `lb rl set-servers vip q ${s4(1)} ${s4(2)} ${s4(3)} ${s4(4)}`,
      `lb rl set-vip w ${V6} udp 443 l3dsr quic-lb 8`,
      `lb rl set-servers vip w ${s6(1)} ${s6(2)} ${s6(3)}`,
    ],
    cases: [
      {
        name: "a client that moves keeps its server: each new address and port goes where the connection ID says",
        steps: [1, 2, 3, 4].map((i) => ({
          send: range(12, (n) => udp(1000 + 100 * i + n, short(of(i)), { src: `10.0.0.${9 + (n % 3)}` })),
          server: range(12, () => to(i)[0]),
        })),
      },
      {
        name: "so does a Handshake packet; an Initial's ID, which the client made up, names nobody",
        steps: [
          { send: range(6, (n) => udp(2000 + n, long(2, of(3)))), server: range(6, () => to(3)[0]) },
          {
            send: range(40, (n) => udp(2100 + n, long(0, of(3)))),
            server: (p) => p.length === 40 && new Set(p.map((x) => x.dst)).size === 4,
          },
          { send: range(40, (n) => udp(2200 + n, long(1, of(3)))), server: (p) => new Set(p.map((x) => x.dst)).size === 4 },
        ],
      },
      {
        name: "a known flow stays where it is, whatever its packets say",
        steps: [
          { send: [udp(3000, short(of(1)))], server: to(1) },
          { send: [udp(3000, short(of(2))), udp(3000, Buffer.from("no QUIC"))], server: [to(1)[0], to(1)[0]] },
        ],
      },
      {
        name: "an ID of no server, an unroutable one, one that is cut short, what is no QUIC: placed as other flows are",
        steps: [id([9, 9]), id([1, 2], 7), Buffer.from([7, 1]), Buffer.alloc(0)].map((cid, i) => ({
          send: range(40, (n) =>
            udp(4000 + 100 * i + n, cid.length > 2 ? short(cid) : Buffer.concat([Buffer.from([0x43]), cid])),
          ),
          server: (p) => p.length === 40 && new Set(p.map((x) => x.dst)).size === 4,
        })),
      },
      {
        name: "a fixed bit that is not set and another version are not looked into",
        steps: [
          {
            send: range(40, (n) => udp(4600 + n, Buffer.concat([Buffer.from([0x03]), of(1)]))),
            server: (p) => new Set(p.map((x) => x.dst)).size === 4,
          },
          {
            send: range(40, (n) => udp(4700 + n, long(2, of(1), 0x6b3343cf))),
            server: (p) => new Set(p.map((x) => x.dst)).size === 4,
          },
        ],
      },
      {
        name: "a server that drains keeps its connections though their clients move, and gets no new ones",
        steps: [
          {
            cli: [`lb rl drain vip q ${s4(4)}`],
            send: range(4, (n) => udp(5000 + n, short(of(4)))),
            server: range(4, () => to(4)[0]),
          },
          {
            send: range(30, (n) => udp(5100 + n, short(id([9, 9])))),
            server: (p) => p.length === 30 && p.every((x) => x.dst !== s4(4)),
          },
          { cli: [`lb rl drain vip q ${s4(4)} off`] },
        ],
      },
      {
        name: "IPv6, an ID of eight bytes",
        steps: [1, 2, 3].map((i) => ({
          send: range(8, (n) => six(6000 + 100 * i + n, short(id([0, 0, 0, 0, 0, 0, 0, i + 1])))),
          server: range(8, () => ({ dst: s6(i), sums: "ok" })),
        })),
      },
      {
        name: "servers whose addresses end alike are refused; the number of bytes changes in place",
        steps: [
          {
            says: {
              "lb rl add-server vip q 10.5.1.2": /ends in the same 2 bytes/,
              [`lb rl set-servers vip q ${s4(1)} 10.5.1.9 10.6.1.9`]: /two servers' addresses end in the same 2 bytes/,
              [`lb rl set-vip q ${V} udp 443 l3dsr quic-lb 9`]: /quic-lb 1\.\.8 expected/,
              [`lb rl set-vip q ${V} udp 443 l3dsr quic-lb 4`]: /^$/,
            },
          },
          { send: range(8, (n) => udp(7000 + n, short(id([10, 0, 1, 2])))), server: range(8, () => to(1)[0]) },
          { says: { "lb rl show config": /udp 443 l3dsr dscp 0 quic-lb 4/ } },
          { cli: [`lb rl set-vip q ${V} udp 443 l3dsr`], send: [udp(7000, short(id([10, 0, 1, 2])))], server: to(1) },
          { send: range(60, (n) => udp(7100 + n, short(of(1)))), server: (p) => new Set(p.map((x) => x.dst)).size > 1 },
        ],
      },
    ],
  },
  {
    name: "quic nat",
    setup: [`lb rl set-vip n ${V} udp 443 nat quic-lb 1`, `lb rl set-servers vip n ${s4(1)} ${s4(2)}`, "lb rl nat interface pg1"],
    cases: [
      {
        name: "under NAT too, and the answers come from the VIP",
        steps: [
          { send: range(6, (n) => udp(100 + n, short(id([3])))), server: range(6, () => to(2)[0]) },
          {
            from: "server",
            send: [{ src: s4(2), dst: C4, udp: true, sport: 443, dport: 103, payload: "a" }],
            client: [{ src: V, dport: 103, sums: "ok" }],
          },
        ],
      },
    ],
  },
];
