// SPDX-License-Identifier: Apache-2.0
// What Katran's fixtures ask (katran/lib/testing), by their names.
import { C4, C6, range, s4, s6 } from "../lib/bed.mjs";
import { family, icmpFrom, udp, V, V6 } from "../lib/others.mjs";
import { buildIp } from "../lib/packet.mjs";

/** Katran's servers are IPv4 and IPv6, all of them in tunnels. */
const tcp = (v6, flags, sport, more) => ({
  src: family(v6).C,
  dst: family(v6).V,
  tcp: flags,
  sport,
  dport: 80,
  payload: "katran test pkt",
  ...more,
});
const wrapped = (outerSrc, v6, more) => [
  { src: outerSrc, sums: "ok", inner: { src: family(v6).C, dst: family(v6).V, sums: "ok", ...more } },
];
const once = (p) => [{ send: [p], server: wrapped("10.0.1.1", false) }];
const katran = {
  name: "others katran",
  setup: [
    "set interface mtu packet 1500 pg1",
    `lb rl set-vip t ${V} tcp 80 ipip4 src 10.0.1.1`,
    `lb rl set-servers vip t ${s4(1)} ${s4(2)} ${s4(3)}`,
    `lb rl set-vip u ${V} udp 80 ipip4 src 10.0.1.1`,
    `lb rl set-servers vip u ${s4(1)} ${s4(2)} ${s4(3)}`,
    "lb rl set-vip any 10.9.0.2 ipip4 src 10.0.1.1",
    `lb rl set-servers vip any ${s4(1)}`,
    "lb rl set-vip six 10.9.0.3 tcp 80 ipip6 src fd00:1::1",
    `lb rl set-servers vip six ${s6(1)}`,
    `lb rl set-vip t6 ${V6} tcp 80 ipip6 src fd00:1::1`,
    `lb rl set-servers vip t6 ${s6(1)} ${s6(2)} ${s6(3)}`,
  ],
  cases: [
    { name: "katran: packet to UDP based v4 VIP (and v4 real)", steps: once(udp(false, 31337)) },
    { name: "katran: packet to TCP based v4 VIP (and v4 real)", steps: once(tcp(false, "S", 31337)) },
    {
      name: "katran: packet to TCP based v4 VIP (and v4 real; any dst ports)",
      steps: range(8, (i) => once({ ...tcp(false, "S", 31337), dst: "10.9.0.2", dport: 42 + i })[0]).map((x) => ({
        ...x,
        server: [{ inner: { dst: "10.9.0.2" } }],
      })),
    },
    {
      name: "katran: packet to TCP based v4 VIP (and v6 real)",
      steps: [
        {
          send: [{ ...tcp(false, "S", 31337), dst: "10.9.0.3" }],
          server: [{ src: "fd00:1::1", dst: s6(1), sums: "ok", inner: { dst: "10.9.0.3" } }],
        },
      ],
    },
    {
      name: "katran: packet to TCP based v6 VIP (and v6 real)",
      steps: [{ send: [tcp(true, "S", 31337)], server: wrapped("fd00:1::1", true) }],
    },
    {
      name: "katran: v4 and v6 ICMP echo-request are answered by the load balancer",
      steps: [
        { send: [icmpFrom(false, [8, 0, 1], "ping")], client: [{ src: V, dst: C4, icmp: [0, 0], sums: "ok" }] },
        { send: [icmpFrom(true, [128, 0, 1], "ping")], client: [{ src: V6, dst: C6, icmp: [129, 0], sums: "ok" }] },
      ],
    },
    {
      name: "katran: a packet to a port that is no VIP's does not reach a server",
      steps: [
        {
          send: [
            { ...udp(false, 1), dport: 82 },
            { ...tcp(false, "S", 2), dport: 82 },
          ],
          client: [{ icmp: [3, 3] }, { tcp: "RA" }],
        },
      ],
    },
    {
      name: "katran: TTL of 1 and hop limit of 1 are not forwarded",
      steps: [
        { send: [udp(false, 5, { ttl: 1 })], client: [{ icmp: [11, 0], quoted: { dst: V } }] },
        { send: [tcp(true, "S", 5, { ttl: 1 })], client: [{ icmp: [3, 0], quoted: { dst: V6 } }] },
      ],
    },
    {
      name: "katran: UDP: big packet of length 1515. trigger PACKET TOOBIG",
      steps: [{ send: [udp(false, 6, { df: true, payload: "x".repeat(1470) })], client: [{ icmp: [3, 4], icmpRest: 1480 }] }],
    },
    {
      name: "katran: ICMPv4 destination unreachable, fragmentation-needed and ICMPv6 packet too big reach the flow's server",
      steps: [
        { send: [tcp(false, "S", 700)], server: wrapped("10.0.1.1", false) },
        {
          send: [
            {
              src: "10.0.0.77",
              dst: V,
              icmp: [3, 4, 1400],
              payload: buildIp({ src: V, dst: C4, tcp: "A", sport: 80, dport: 700, payload: "quoted" }),
            },
          ],
          server: [{ inner: { icmp: [3, 4], src: "10.0.0.77" } }],
        },
        { send: [tcp(true, "S", 700)], server: wrapped("fd00:1::1", true) },
        {
          send: [
            {
              src: "fd00::77",
              dst: V6,
              icmp: [2, 0, 1400],
              payload: buildIp({ src: V6, dst: C6, tcp: "A", sport: 80, dport: 700, payload: "quoted" }),
            },
          ],
          server: [{ inner: { icmp: [2, 0] } }],
        },
      ],
    },
    {
      name: "katran: a TCP packet that begins no flow, twice, goes to one server (the LRU's miss is the ring's)",
      steps: range(10, (i) => {
        let first;
        return {
          send: [tcp(false, "A", 800 + i), tcp(false, "A", 800 + i)],
          server: (p) => p.length === 2 && ((first = p[0].dst), p[1].dst === first),
        };
      }),
    },
    {
      name: "katran: packets of each DSCP and ECN value keep it outside and inside",
      steps: range(16, (i) => ({
        send: [udp(false, 900 + i, { tos: 16 * i + (i % 4) })],
        server: [{ tos: 16 * i + (i % 4), inner: { tos: 16 * i + (i % 4) } }],
      })),
    },
  ],
};

export const groups = [katran];
