// SPDX-License-Identifier: Apache-2.0
// What a router owes its senders, for each way of forwarding: packets longer than the path takes (RFC 1191, RFC 8201, RFC 2003, RFC
// 2473) and those whose TTL is over (RFC 792, RFC 4443). Answers quote the packet as the client sent it.
import { C4, C6, s4, s6 } from "../lib/bed.mjs";

const MTU = 1300;
const WAYS = [
  ["l3dsr", "l3dsr dscp 1", 0],
  ["nat", "nat", 0],
  ["l2dsr", "l2dsr", 0],
  ["gre4", "gre4 src 10.0.1.1", 24],
  ["gre6", "gre6 src fd00:1::1", 44],
  ["ipip4", "ipip4 src 10.0.1.1", 20],
  ["ipip6", "ipip6 src fd00:1::1", 40],
  ["gue4", "gue4 src 10.0.1.1", 32],
  ["gue6", "gue6 src fd00:1::1", 52],
];

const BIG = "too long for the path, answered";
const TTL = "TTL or hop limit over, answered";
const one = (o) => o.length === 1;
/** Bytes behind the IP headers of fragments, and whether they are a whole: offsets without a gap, `more` on all but the last. */
function joined(list) {
  const parts = [...list].sort((a, b) => (a.frag?.[0] ?? -1) - (b.frag?.[0] ?? -1));
  let at = 0;
  for (const [i, p] of parts.entries()) {
    if (p.frag?.[0] !== at || p.frag[1] !== i < parts.length - 1) throw new Error(`fragment ${i}: ${p.frag}, expected ${at}`);
    at += p.length;
  }
  return at;
}

function way([name, fwd, over], v6) {
  const [C, V, hdr] = v6 ? [C6, "fd00:9::1", 40] : [C4, "10.9.0.1", 20];
  const outer6 = over ? name.endsWith("6") : v6;
  const s = outer6 ? s6(1) : s4(1);
  const told = v6 ? Math.max(MTU - over, 1280) : MTU - over;
  const udp = (size, sport, more) => ({
    src: C,
    dst: V,
    udp: true,
    sport,
    dport: 80,
    payload: "p".repeat(size - hdr - 8),
    ...more,
  });
  const tcp = (size, sport, more) => ({
    src: C,
    dst: V,
    tcp: "A",
    sport,
    dport: 80,
    payload: "p".repeat(size - hdr - 20),
    ...more,
  });
  const df = v6 ? {} : { df: true };
  const tooBig = (sport) => ({
    ...{ dst: C, sums: "ok", icmp: v6 ? [2, 0] : [3, 4], icmpRest: told },
    quoted: { src: C, dst: V, sport, dport: 80, sums: "ok" },
  });
  const exceeded = (sport) => ({
    ...{ dst: C, sums: "ok", icmp: v6 ? [3, 0] : [11, 0], icmpRest: 0 },
    quoted: { src: C, dst: V, sport, dport: 80, sums: "ok" },
  });
  const whole = MTU - over;
  const cases = [
    {
      name: "what the path takes goes through, one byte more is answered with what it takes, of UDP and of TCP at every age",
      steps: [
        ...(whole >= 1280 || !v6 ? [{ send: [udp(whole, 1, df)], server: one }] : []),
        // VPP answers one of several packets that a client sends at once.
        { send: [udp(told + 1, 1, df)], client: [tooBig(1)], errors: { [BIG]: 1 } },
        { send: [udp(told + 1, 2, df)], client: [tooBig(2)], errors: { [BIG]: 1 } },
        { send: [tcp(68, 3, { tcp: "S" }), tcp(68, 3, df)], server: (o) => o.length === 2 },
        { send: [tcp(told + 1, 3, df)], client: [tooBig(3)], errors: { [BIG]: 1 } },
        { send: [tcp(1500, 4, df)], client: [tooBig(4)], errors: { [BIG]: 1 } },
        { send: [tcp(whole - 100, 3, df)], server: one },
      ],
    },
    {
      name: "a TTL that is over is answered; of two, one is taken",
      steps: [
        { send: [udp(68, 5, { ttl: 1 })], client: [exceeded(5)], errors: { [TTL]: 1 } },
        { send: [tcp(68, 6, { ttl: 1 })], client: [exceeded(6)], errors: { [TTL]: 1 } },
        {
          send: [udp(68, 7, { ttl: 2 })],
          server: (o) => one(o) && (name.startsWith("gue") || (over ? o[0].inner : o[0]).ttl === 1),
        },
      ],
    },
  ];
  if (!v6)
    cases.push({
      name: "without DF a long packet reaches the server in fragments",
      steps: [
        {
          send: [udp(1500, 9)],
          server: (o) =>
            o.every((p) => p.dst === (name === "l2dsr" ? V : s)) && joined(o) === 1500 + over - (outer6 && over ? 40 : 20),
        },
      ],
    });
  if (v6 && whole < 1280)
    cases.push({
      name: "1280 bytes of IPv6 always go: the outer packet is cut",
      steps: [
        { send: [udp(1280, 10)], server: (o) => o.every((p) => p.dst === s) && joined(o) === 1280 + over - (outer6 ? 40 : 20) },
      ],
    });
  return {
    name: `path ${name} of IPv${v6 ? 6 : 4}`,
    setup: [`set interface mtu packet ${MTU} pg1`, `lb rl set-vip v ${V} ${fwd}`, `lb rl set-servers ${s}`],
    cases,
  };
}

export const groups = WAYS.flatMap((w) => [way(w, false), way(w, true)]);
