// SPDX-License-Identifier: Apache-2.0
// ICMP by RFC 792, 1191, 4443 and 8201: errors that are made, what they quote, where they go, and those that must not be.
import { C4, C6, range, s4, s6 } from "../lib/bed.mjs";
import { icmpFrom, udp, V, V6 } from "../lib/others.mjs";
import { buildIp } from "../lib/packet.mjs";

const rfc = {
  name: "others rfc",
  setup: [
    `lb rl set-vip r ${V} udp 80 l3dsr`,
    `lb rl set-servers vip r ${s4(1)}`,
    `lb rl set-vip r6 ${V6} udp 80 l3dsr`,
    `lb rl set-servers vip r6 ${s6(1)}`,
    "set interface mtu packet 1400 pg1",
  ],
  cases: [
    {
      name: "RFC 1191: Fragmentation Needed names the next hop's MTU and quotes what was sent; without DF the packet is fragmented",
      steps: range(8, (i) => ({
        send: [udp(false, 10 + i, { df: true, payload: "x".repeat(1380 + 10 * i) })],
        client: [
          {
            src: (a) => a !== V,
            icmp: [3, 4],
            icmpRest: 1400,
            sums: "ok",
            quoted: { src: C4, dst: V, sport: 10 + i, dport: 80, sums: "ok" },
          },
        ],
      })),
    },
    {
      name: "RFC 1191: a packet of exactly the MTU goes on",
      steps: [
        { send: [udp(false, 30, { df: true, payload: "x".repeat(1372) })], server: [{ dst: s4(1), length: 1380, sums: "ok" }] },
      ],
    },
    {
      name: "RFC 8201: Packet Too Big names the MTU and quotes as much as 1280 bytes hold; 1280 bytes always go",
      steps: [
        ...range(8, (i) => ({
          send: [udp(true, 40 + i, { payload: "x".repeat(1360 + 10 * i) })],
          client: [
            { icmp: [2, 0], icmpRest: 1400, sums: "ok", length: (n) => n <= 1240, quoted: { src: C6, dst: V6, sport: 40 + i } },
          ],
        })),
        { send: [udp(true, 60, { payload: "x".repeat(1232) })], server: [{ dst: s6(1), sums: "ok" }] },
      ],
    },
    {
      name: "RFC 792: Time Exceeded and Port Unreachable quote the header and at least eight bytes behind it",
      steps: [
        ...range(4, (i) => ({
          send: [udp(false, 70 + i, { ttl: 1, payload: "q" })],
          client: [{ icmp: [11, 0], sums: "ok", quoted: { src: C4, dst: V, sport: 70 + i, dport: 80 } }],
        })),
        ...range(4, (i) => ({
          send: [udp(false, 80 + i, { dport: 81 })],
          client: [{ src: V, icmp: [3, 3], sums: "ok", quoted: { src: C4, dst: V, sport: 80 + i, dport: 81 } }],
        })),
      ],
    },
    {
      name: "RFC 4443: the same of IPv6: Hop Limit Exceeded, Port Unreachable",
      steps: [
        ...range(4, (i) => ({
          send: [udp(true, 90 + i, { ttl: 1 })],
          client: [{ icmp: [3, 0], sums: "ok", quoted: { src: C6, dst: V6, sport: 90 + i } }],
        })),
        ...range(4, (i) => ({
          send: [udp(true, 95 + i, { dport: 81 })],
          client: [{ src: V6, icmp: [1, 4], sums: "ok", quoted: { src: C6, dst: V6, dport: 81 } }],
        })),
      ],
    },
    {
      name: "RFC 792, 4443: no error about an error, nor about a fragment that is not the first",
      steps: [
        { send: [{ src: C4, dst: V, icmp: [3, 3], payload: buildIp({ src: V, dst: C4, udp: true, sport: 81, dport: 1 }) }] },
        { send: [{ src: C4, dst: V, icmp: [11, 0], payload: buildIp({ src: V, dst: C4, udp: true, sport: 81, dport: 1 }) }] },
        { send: [{ src: C6, dst: V6, icmp: [1, 4], payload: buildIp({ src: V6, dst: C6, udp: true, sport: 81, dport: 1 }) }] },
        { send: [{ src: C6, dst: V6, icmp: [3, 0], payload: buildIp({ src: V6, dst: C6, udp: true, sport: 81, dport: 1 }) }] },
      ],
    },
    {
      name: "RFC 4443: what an error quotes reaches the server of the flow that it is about",
      steps: [
        { send: [udp(false, 200)], server: [{ dst: s4(1) }] },
        ...[0, 1, 2, 3, 4, 5, 13].map((code) => ({
          send: [
            {
              src: "10.0.0.77",
              dst: V,
              icmp: [3, code],
              payload: buildIp({ src: V, dst: C4, udp: true, sport: 80, dport: 200, payload: "u" }),
            },
          ],
          server: [{ dst: s4(1), icmp: [3, code], sums: "ok" }],
        })),
        { send: [udp(true, 200)], server: [{ dst: s6(1) }] },
        ...[0, 1, 3, 4].map((code) => ({
          send: [
            {
              src: "fd00::77",
              dst: V6,
              icmp: [1, code],
              payload: buildIp({ src: V6, dst: C6, udp: true, sport: 80, dport: 200, payload: "u" }),
            },
          ],
          server: [{ dst: s6(1), icmp: [1, code], sums: "ok" }],
        })),
      ],
    },
    {
      name: "RFC 792, 4443: echo requests of any length are answered with their data",
      steps: [0, 1, 2, 7, 64, 500, 1200].flatMap((n) => [
        {
          send: [icmpFrom(false, [8, 0, 0x00010000 + n], "p".repeat(n))],
          client: [{ src: V, icmp: [0, 0], icmpRest: 0x00010000 + n, sums: "ok", body: (b) => b.length === n }],
        },
        {
          send: [icmpFrom(true, [128, 0, 0x00010000 + n], "p".repeat(n))],
          client: [{ src: V6, icmp: [129, 0], icmpRest: 0x00010000 + n, sums: "ok", body: (b) => b.length === n }],
        },
      ]),
    },
  ],
};

export const groups = [rfc];
