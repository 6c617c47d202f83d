// SPDX-License-Identifier: Apache-2.0
// Packets that are not plain: options, extension headers, fragments, ICMP, closed ports, and each malformed case with its counter.
import { C4, C6, range, s4, s6 } from "../lib/bed.mjs";
import { buildIp } from "../lib/packet.mjs";
import { icmpAbout } from "./forward.mjs";

const V4 = "10.9.0.1";
const V6 = "fd00:9::1";
const syn = (src, dst, sport, more) => ({ src, dst, tcp: "S", sport, dport: 80, ...more });
const out = (src, dst, more) => ({ sums: "ok", src, dst, ...more });

/** The L4 bytes of a packet in two fragments. */
export const fragments = (p, at, id) => [
  { ...p, frag: [0, true, id], fragBytes: [0, at] },
  { ...p, frag: [at, false, id], fragBytes: [at] },
];

/** What makes a header longer than usual. */
function longer(v6) {
  return v6
    ? [
        { ext: [[60, Buffer.from([0, 0, 1, 4, 0, 0, 0, 0])]] },
        {
          ext: [
            [0, Buffer.from([0, 0, 1, 4, 0, 0, 0, 0])],
            [60, Buffer.from([0, 0, 1, 4, 0, 0, 0, 0])],
          ],
        },
      ]
    : [{ options: Buffer.from([1, 1, 1, 0]) }, { options: Buffer.from([7, 7, 4, 0, 0, 0, 0, 1]) }];
}

const limited = (C, V, v6) => ({
  name: "answers have a limit: of 2000 datagrams to a closed port a few are answered, and TCP's resets are another matter",
  steps: [
    {
      send: range(2000, (i) => ({ src: C, dst: V, udp: true, sport: 7000 + i, dport: 81, payload: "q" })),
      client: (o) => o.length >= 50 && o.length <= 600 && o.every((p) => p.icmp),
    },
    { send: [syn(C, V, 5450, { dport: 81 })], client: [{ tcp: "RA" }] },
    // The limit is a rate: a moment later there are answers again.
    {
      after: 100,
      send: [{ src: C, dst: V, udp: true, sport: 9999, dport: 81, payload: "q" }],
      client: [{ icmp: v6 ? [1, 4] : [3, 3] }],
    },
  ],
});

const pingInParts = (C, V, v6) => ({
  name: "a ping in fragments is answered, whatever their order; each answer is a fragment, and the whole has the right sum",
  steps: [false, true].map((backwards) => {
    const ping = { src: C, dst: V, icmp: [v6 ? 128 : 8, 0, 0x00030004], payload: "p".repeat(3000) };
    const answer = buildIp({ ...ping, src: V, dst: C, icmp: [v6 ? 129 : 0, 0, 0x00030004] }).subarray(v6 ? 40 : 20);
    const part = (at, end) => ({ ...ping, frag: [at, end !== undefined, 90 + backwards], fragBytes: [at, end] });
    const parts = [part(0, 1200), part(1200, 2400), part(2400)];
    return {
      send: backwards ? parts.reverse() : parts,
      client: (o) => o.length === 3 && o.every((p) => p.src === V && p.dst === C && p.sums === "ok"),
      check: (o) => {
        const [first, ...rest] = o.client.sort((a, b) => a.frag[0] - b.frag[0]);
        const head = Buffer.from([...first.icmp, first.icmpSum >> 8, first.icmpSum & 255, 0, 3, 0, 4]);
        if (!Buffer.concat([head, first.body, ...rest.map((p) => p.bytes)]).equals(answer)) throw new Error("not the answer");
      },
    };
  }),
});

function options(v6, nat) {
  const [C, V, s] = v6 ? [C6, V6, s6(1)] : [C4, V4, s4(1)];
  const addr = nat ? (v6 ? `[${s}]:8080` : `${s}:8080`) : s;
  const dport = nat ? 8080 : 80;
  const big = { src: C, dst: V, udp: true, sport: 5001, dport: 80, payload: "y".repeat(600) };
  return {
    name: `odd ${nat ? "nat" : "dsr"}${v6 ? 6 : 4}`,
    setup: [
      `lb rl set-vip t ${V} tcp 80 ${nat ? "nat" : "l3dsr dscp 1"}`,
      `lb rl set-servers vip t ${addr}`,
      `lb rl set-vip u ${V} udp 80 ${nat ? "nat" : "l3dsr dscp 1"}`,
      `lb rl set-servers vip u ${addr}`,
    ],
    cases: [
      {
        name: v6
          ? "extension headers are walked past, never read as ports"
          : "IP options are walked past, never read as ports (behind ip4-options, which punts them)",
        steps: longer(v6).map((m, i) => ({
          node: v6 ? undefined : "ip4-lookup",
          send: [syn(C, V, 5100 + i, m)],
          server: [out(C, s, { tcp: "S", sport: 5100 + i, dport })],
        })),
      },
      {
        name: "TCP options stay",
        steps: [
          { send: [syn(C, V, 5200, { tcpOptions: Buffer.from([2, 4, 5, 180]) })], server: [out(C, s, { tcp: "S", dport })] },
        ],
      },
      {
        name: "fragments of a datagram all reach one server, whatever their order",
        steps: [
          {
            send: fragments(big, 304, 77),
            server: [out(C, s, { frag: [0, true], sport: 5001, dport }), out(C, s, { frag: [304, false] })],
          },
          {
            send: fragments({ ...big, sport: 5002 }, 304, 78).reverse(),
            server: (o) =>
              o.length === 2 &&
              o.every((p) => p.dst === s && p.sums === "ok") &&
              o.some((p) => p.frag[0] === 0 && p.sport === 5002 && p.dport === dport),
          },
        ],
      },
      {
        name: "ping of the VIP is answered",
        steps: [
          {
            send: [{ src: C, dst: V, icmp: [v6 ? 128 : 8, 0, 0x00010002], payload: "ping!" }],
            client: [out(V, C, { icmp: [v6 ? 129 : 0, 0], body: (b) => b.toString() === "ping!" })],
          },
        ],
      },
      pingInParts(C, V, v6),
      {
        name: "an ICMP error (packet too big) goes to the server that owns the flow",
        steps: [
          { send: [syn(C, V, 5300)], server: [out(C, s, { tcp: "S" })] },
          {
            send: [
              icmpAbout(
                v6,
                v6 ? "fd00::b" : "10.0.0.11",
                V,
                { src: V, dst: C, tcp: "PA", sport: 80, dport: 5300, payload: "z" },
                v6 ? [2, 0, 1400] : [3, 4, 1400],
              ),
            ],
            server: [
              {
                dst: s,
                sums: "ok",
                icmp: v6 ? [2, 0] : [3, 4],
                quoted: { src: nat ? s : V, sport: dport, dst: C, dport: 5300, sums: "ok" },
              },
            ],
          },
        ],
      },
      {
        name: "a port without VIP: RST at once, unreachable for UDP; no RST to a RST",
        steps: [
          {
            send: [syn(C, V, 5400, { dport: 81, seq: 4242 })],
            client: [out(V, C, { tcp: "RA", sport: 81, dport: 5400, seq: 0, ack: 4243 })],
            errors: { "no VIP on this port, answered": 1 },
          },
          { send: [syn(C, V, 5400, { dport: 81, tcp: "A", ack: 99 })], client: [out(V, C, { tcp: "R", seq: 99 })] },
          { send: [syn(C, V, 5400, { dport: 81, tcp: "R" })], client: [] },
          {
            send: [{ src: C, dst: V, udp: true, sport: 5401, dport: 81, payload: "q" }],
            client: [
              { src: V, dst: C, sums: "ok", icmp: v6 ? [1, 4] : [3, 3], quoted: { src: C, dst: V, sport: 5401, dport: 81 } },
            ],
          },
        ],
      },
      limited(C, V, v6),
      {
        name: "a VIP without eligible server answers at once",
        cli: [`lb rl set-vip empty ${V} tcp 90 ${nat ? "nat" : "l3dsr"}`],
        steps: [{ send: [syn(C, V, 5500, { dport: 90 })], client: [out(V, C, { tcp: "RA", sport: 90 })] }],
      },
    ],
  };
}

/** Malformed in front of VPP's own checks are dropped there; these pass ip4-input or ip6-input and must be caught by us. */
const bad4 = [
  ["TCP header cut short", syn(C4, V4, 1, { raw: Buffer.alloc(12), proto: 6 }), "malformed: L4 header cut short"],
  ["TCP data offset of 4 words", syn(C4, V4, 2, { dataOffset: 4 }), "malformed: TCP data offset"],
  ["TCP data offset past the end", syn(C4, V4, 3, { dataOffset: 15 }), "malformed: TCP data offset"],
  ["UDP header cut short", { src: C4, dst: V4, raw: Buffer.alloc(4), proto: 17 }, "malformed: L4 header cut short"],
  ["UDP length of 7", { src: C4, dst: V4, udp: true, sport: 4, dport: 80, udpLength: 7 }, "malformed: UDP length"],
  ["UDP length past the end", { src: C4, dst: V4, udp: true, sport: 5, dport: 80, udpLength: 400 }, "malformed: UDP length"],
  ["a protocol that is not balanced", { src: C4, dst: V4, raw: Buffer.alloc(40), proto: 132 }, "protocol that is not balanced"],
];
const bad6 = [
  ["TCP header cut short", syn(C6, V6, 1, { raw: Buffer.alloc(12), proto: 6 }), "malformed: L4 header cut short"],
  ["TCP data offset of 4 words", syn(C6, V6, 2, { dataOffset: 4 }), "malformed: TCP data offset"],
  ["UDP length past the end", { src: C6, dst: V6, udp: true, sport: 5, dport: 80, udpLength: 400 }, "malformed: UDP length"],
  [
    "an extension header past the end",
    syn(C6, V6, 6, { ext: [[60, Buffer.from([0, 200, 1, 4, 0, 0, 0, 0])]] }),
    "malformed: IPv6 extension header",
  ],
  ["a protocol that is not balanced", { src: C6, dst: V6, raw: Buffer.alloc(40), proto: 132 }, "protocol that is not balanced"],
];
const malformed = (name, V, list) => ({
  name,
  setup: [`lb rl set-vip v ${V} l3dsr`, `lb rl set-servers ${V === V4 ? s4(1) : s6(1)}`],
  cases: list.map(([what, packet, counter]) => ({
    name: `${what} is dropped and counted`,
    steps: [{ send: [packet], errors: { [counter]: 1 } }],
  })),
});

/** `n` bytes of destination options, which only a parser walks past. */
const padding = (n) => {
  const b = Buffer.alloc(n);
  b[1] = n / 8 - 1;
  return [60, b];
};

/** VPP's buffers hold 2048 bytes: what lies behind them is in another one, and not behind the first in memory. */
const chained = {
  name: "chained",
  setup: [
    `lb rl set-vip a ${V6} l3dsr`,
    `lb rl set-servers vip a ${s6(1)}`,
    "lb rl set-vip n fd00:9::2 nat",
    `lb rl set-servers vip n ${s6(1)}`,
    "lb rl nat interface pg1",
    "set interface mtu packet 9000 pg0",
    "set interface mtu packet 9000 pg1",
  ],
  cases: [
    {
      name: "headers that end behind the first buffer are not looked for in a neighbour's",
      steps: [
        ...[V6, "fd00:9::2"].map((dst) => ({
          node: "ip6-lookup",
          send: [2040, 2048].flatMap((n) => [
            syn(C6, dst, 6001, { ext: [padding(n), padding(1600)] }),
            { src: C6, dst, udp: true, sport: 6002, dport: 80, payload: "z", ext: [padding(n), padding(8)] },
          ]),
          errors: { "malformed: truncated": 4 },
        })),
      ],
    },
    {
      name: "a long packet whose headers are in the first buffer goes through whole",
      steps: [
        {
          send: [{ src: C6, dst: V6, udp: true, sport: 6003, dport: 80, payload: "y".repeat(4000), ext: [padding(8)] }],
          server: [out(C6, s6(1), { udp: true, sport: 6003, payload: "y".repeat(4000) })],
        },
      ],
    },
  ],
};

export const groups = [
  chained,
  options(false, false),
  options(true, false),
  options(false, true),
  options(true, true),
  malformed("malformed4", V4, bad4),
  malformed("malformed6", V6, bad6),
];
