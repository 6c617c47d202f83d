// SPDX-License-Identifier: Apache-2.0
// Every way of forwarding, on both families: what a server receives, and under NAT what the client gets back.
import { C4, C6, s4, s6, serverMac } from "../lib/bed.mjs";
import { buildIp, parseIp } from "../lib/packet.mjs";

const V4 = "10.9.0.1";
const V6 = "fd00:9::1";
const syn = (src, dst, sport, more) => ({ src, dst, tcp: "S", sport, dport: 80, ...more });
const out = (src, dst, more) => ({ sums: "ok", ttl: 63, src, dst, ...more });

function dsr(name, v6, cli, dst, tos) {
  const [C, V, s] = v6 ? [C6, V6, s6(1)] : [C4, V4, s4(1)];
  return {
    name,
    setup: [`lb rl set-vip v ${V} ${cli}`, `lb rl set-servers ${s}`],
    cases: [
      {
        name: "SYN, ACK, data and FIN of a flow reach its server",
        steps: ["S", "A", "PA", "FA"].map((f) => ({
          send: [syn(C, V, 2000, { tcp: f, payload: f === "PA" ? "hello" : "" })],
          server: [
            out(C, dst(s, V), { tcp: f, sport: 2000, dport: 80, dmac: serverMac(1), payload: f === "PA" ? "hello" : "", tos }),
          ],
        })),
      },
      {
        name: "UDP, an odd length, an empty one",
        steps: [
          {
            send: [0, 1, 33, 1200].map((n) => ({ src: C, dst: V, udp: true, sport: 2001, dport: 80, payload: "x".repeat(n) })),
            server: [0, 1, 33, 1200].map((n) =>
              out(C, dst(s, V), { udp: true, sport: 2001, dport: 80, payload: "x".repeat(n), tos }),
            ),
          },
        ],
      },
      {
        name: "ECN bits stay",
        steps: [{ send: [syn(C, V, 2002, { tos: 3 })], server: [out(C, dst(s, V), { tos: tos | 3 })] }],
      },
    ],
  };
}

function nat(v6) {
  const [C, V, s, other] = v6 ? [C6, V6, s6(1), s6(7)] : [C4, V4, s4(1), s4(7)];
  const addr = v6 ? `[${s}]` : s;
  const reply = (sport, dport, more) => ({ src: s, dst: C, tcp: "SA", sport, dport, seq: 9, ack: 1001, ...more });
  return {
    name: v6 ? "nat66" : "nat44",
    setup: [
      `lb rl set-vip v ${V} tcp 80 nat`,
      `lb rl set-servers vip v ${addr}:8080`,
      `lb rl set-vip u ${V} udp 53 nat`,
      `lb rl set-servers vip u ${s}`,
      "lb rl nat interface pg1",
    ],
    cases: [
      {
        name: "handshake, request, answer, close, both ways",
        steps: [
          { send: [syn(C, V, 3000)], server: [out(C, s, { tcp: "S", sport: 3000, dport: 8080 })] },
          { from: "server", send: [reply(8080, 3000)], client: [out(V, C, { tcp: "SA", sport: 80, dport: 3000, seq: 9 })] },
          {
            send: [syn(C, V, 3000, { tcp: "A" }), syn(C, V, 3000, { tcp: "PA", payload: "GET" })],
            server: [out(C, s, { tcp: "A", dport: 8080 }), out(C, s, { tcp: "PA", payload: "GET" })],
          },
          {
            from: "server",
            send: [reply(8080, 3000, { tcp: "PA", payload: "page!" })],
            client: [out(V, C, { sport: 80, payload: "page!" })],
          },
          { from: "server", send: [reply(8080, 3000, { tcp: "FA" })], client: [out(V, C, { tcp: "FA", sport: 80 })] },
          { send: [syn(C, V, 3000, { tcp: "FA" })], server: [out(C, s, { tcp: "FA", dport: 8080 })] },
          { from: "server", send: [reply(8080, 3000, { tcp: "A" })], client: [out(V, C, { tcp: "A", sport: 80 })] },
        ],
      },
      {
        name: "UDP both ways; a checksum of 0 stays 0 on IPv4",
        steps: [
          {
            send: [{ src: C, dst: V, udp: true, sport: 3001, dport: 53, payload: "q", noSum: !v6 }],
            server: [out(C, s, { udp: true, sport: 3001, dport: 53, payload: "q" })],
          },
          {
            from: "server",
            send: [{ src: s, dst: C, udp: true, sport: 53, dport: 3001, payload: "answer" }],
            client: [out(V, C, { udp: true, sport: 53, dport: 3001, payload: "answer" })],
          },
        ],
      },
      {
        name: "a server's other traffic passes untouched",
        steps: [
          {
            from: "server",
            send: [reply(22, 3000), reply(8080, 3999), { src: other, dst: C, udp: true, sport: 53, dport: 3001 }],
            client: [out(s, C, { sport: 22 }), out(s, C, { sport: 8080, dport: 3999 }), out(other, C, { sport: 53 })],
          },
        ],
      },
      {
        name: "a refused connect: the server's RST comes from the VIP",
        steps: [
          { send: [syn(C, V, 3002)], server: [out(C, s, { tcp: "S" })] },
          { from: "server", send: [reply(8080, 3002, { tcp: "RA" })], client: [out(V, C, { tcp: "RA", sport: 80 })] },
        ],
      },
      {
        name: "a server's ICMP error about a flow comes from the VIP and quotes what the client sent",
        steps: [
          // A flow of its own: an earlier case's may have idled out on a machine that is slow enough.
          {
            send: [{ src: C, dst: V, udp: true, sport: 3009, dport: 53, payload: "q" }],
            server: [out(C, s, { udp: true, sport: 3009, dport: 53 })],
          },
          {
            from: "server",
            send: [icmpAbout(v6, s, C, { src: C, dst: s, udp: true, sport: 3009, dport: 53 })],
            client: [{ src: V, dst: C, sums: "ok", quoted: { src: C, dst: V, sport: 3009, dport: 53, sums: "ok" } }],
          },
        ],
      },
    ],
  };
}

/** Port unreachable from src to dst about a packet. */
export function icmpAbout(v6, src, dst, about, type = v6 ? [1, 4, 0] : [3, 3, 0]) {
  return { src, dst, icmp: type, payload: buildIp(about).subarray(0, v6 ? 88 : 48) };
}

function tunnel(name, v6, kind) {
  const [C, V] = v6 ? [C6, V6] : [C4, V4];
  const outer6 = kind.endsWith("6");
  const [src, s] = outer6 ? ["fd00:1::1", s6(1)] : ["10.0.1.1", s4(1)];
  const inner = (more) => ({ src: C, dst: V, sums: "ok", ...more });
  const lengths = [0, 1, 2, 4, 8, 16, 32, 64, 700];
  return {
    name,
    setup: [`lb rl set-vip v ${V} ${kind} src ${src}`, `lb rl set-servers ${s}`],
    cases: [
      {
        name: "the packet lies unchanged inside",
        steps: [
          {
            send: [syn(C, V, 4000), { src: C, dst: V, udp: true, sport: 4001, dport: 5, payload: "abc" }],
            server: [
              { src, dst: s, sums: "ok", inner: inner({ tcp: "S", sport: 4000, dport: 80 }) },
              { src, dst: s, sums: "ok", inner: inner({ udp: true, payload: "abc" }) },
            ],
            check: (o) => {
              if (kind.startsWith("gre") && o.server[0].gre !== (v6 ? 0x86dd : 0x0800))
                throw new Error(`GRE protocol ${o.server[0].gre}`);
            },
          },
        ],
      },
      {
        name: "the outer header has the packet's TOS, and its DF and identification where both are IPv4; lengths are right",
        steps: [true, false].map((df) => ({
          send: lengths.map((n) => ({
            ...{ src: C, dst: V, udp: true, sport: 4010 + n, dport: 5, payload: "x".repeat(n), tos: 0xb9, ttl: 9 },
            ...(v6 ? {} : { df, id: 77 + n }),
          })),
          server: lengths.map((n) => ({
            ...{ src, dst: s, tos: 0xb9, ttl: 63, sums: "ok" },
            ...(outer6 ? {} : { df: v6 || df, id: v6 ? 0 : 77 + n }),
            inner: inner({ udp: true, payload: "x".repeat(n), tos: 0xb9, ttl: 8 }),
          })),
        })),
      },
      ...(outer6
        ? [
            {
              name: "the outer flow label is the flow's",
              steps: [
                { send: twice(C, V), server: (o) => o.length === 16, check: (o) => eachFlows(o.server, (p) => p.label, inside) },
              ],
            },
          ]
        : []),
    ],
  };
}

const inside = (p) => p.inner;
/** Eight flows, two packets of each. */
const twice = (C, V) =>
  [...Array(16).keys()].map((i) => ({ src: C, dst: V, udp: true, sport: 4100 + (i % 8), dport: 5, payload: "x" }));
/** What is asked of the outer packet is equal for all packets of a flow, and not for all flows. */
function eachFlows(packets, outer, inner) {
  const by = new Map();
  for (const p of packets) {
    const flow = inner(p).sport;
    if ((by.get(flow) ?? outer(p)) !== outer(p)) throw new Error(`flow ${flow} has ${by.get(flow)} and ${outer(p)}`);
    by.set(flow, outer(p));
  }
  if (new Set(by.values()).size < 2) throw new Error(`all flows have ${[...by.values()]}`);
}

/** The packet behind a GUE header: version 0, no options, protocol 4 or 41. */
function gueInner(p) {
  const b = Buffer.from(p.payload, "latin1");
  const want = [0, b[4] >> 4 === 6 ? 41 : 4, 0, 0].join();
  if ([...b.subarray(0, 4)].join() !== want) throw new Error(`GUE header ${[...b.subarray(0, 4)]}, expected ${want}`);
  return parseIp(b.subarray(4));
}

/** Inside lie the packets that were sent, but for what a lookup changes. */
function unchangedInside(v6, sent, o) {
  for (const [i, p] of o.server.entries()) {
    const whole = buildIp(sent[i]);
    const at = v6 ? 7 : 8; // hop limit, or TTL and the header's checksum, which the lookup changes
    const got = Buffer.from(p.payload, "latin1").subarray(4);
    gueInner(p);
    if (got.length !== whole.length) throw new Error(`${got.length} bytes inside, ${whole.length} were sent`);
    if (!got.subarray(v6 ? 8 : 12).equals(whole.subarray(v6 ? 8 : 12)) || !got.subarray(0, at).equals(whole.subarray(0, at)))
      throw new Error(`inside ${got.toString("hex")}, sent ${whole.toString("hex")}`);
  }
}

function gue(name, v6, kind) {
  const [C, V, W] = v6 ? [C6, V6, "fd00:9::2"] : [C4, V4, "10.9.0.2"];
  const outer6 = kind.endsWith("6");
  const [src, s] = outer6 ? ["fd00:1::1", s6(1)] : ["10.0.1.1", s4(1)];
  const sent = [
    syn(C, V, 4000, { tos: 0xb9 }),
    { src: C, dst: V, udp: true, sport: 4001, dport: 5, payload: "abc" },
    { src: C, dst: V, udp: true, sport: 4002, dport: 5, payload: "z".repeat(1201) },
  ];
  const around = (more) => ({
    ...{ src, dst: s, sums: "ok", udp: true, dport: 6080, sport: (n) => n >= 49152 },
    // IPv6 has no checksum of its own: UDP must have one.
    udpSum: (n) => (n !== 0) === outer6,
    ...more,
  });
  return {
    name,
    setup: [`lb rl set-vip v ${V} ${kind} src ${src}`, `lb rl set-servers vip v ${s}`],
    cases: [
      {
        name: "the packet lies unchanged inside, behind UDP to port 6080 and a GUE header",
        steps: [
          {
            send: sent,
            server: [around({ tos: 0xb9 }), around(), around()],
            check: (o) => unchangedInside(v6, sent, o),
          },
        ],
      },
      {
        name: "the outer source port is the flow's",
        steps: [
          { send: twice(C, V), server: (o) => o.length === 16, check: (o) => eachFlows(o.server, (p) => p.sport, gueInner) },
        ],
      },
      {
        name: "fragments are wrapped one by one, with the source port of their flow",
        steps: [
          {
            send: [
              {
                src: C,
                dst: V,
                udp: true,
                sport: 4300,
                dport: 5,
                payload: "y".repeat(600),
                frag: [0, true, 7],
                fragBytes: [0, 304],
              },
              {
                src: C,
                dst: V,
                udp: true,
                sport: 4300,
                dport: 5,
                payload: "y".repeat(600),
                frag: [304, false, 7],
                fragBytes: [304],
              },
            ],
            server: [around(), around()],
            check: (o) => {
              const [a, b] = o.server;
              if (a.sport !== b.sport) throw new Error(`source ports ${a.sport} and ${b.sport}`);
              if (gueInner(a).frag[0] !== 0 || gueInner(b).frag[0] !== 304) throw new Error("not the two fragments");
            },
          },
        ],
      },
      {
        name: "outer-port sets the destination port, of ways that have one",
        cli: [`lb rl set-vip w ${W} ${kind} src ${src} outer-port 7000`, `lb rl set-servers vip w ${s}`],
        steps: [
          { send: [syn(C, W, 4400)], server: [around({ dport: 7000 })] },
          {
            says: {
              "lb rl show config": new RegExp(`${kind} src ${src} outer-port 7000`),
              "lb rl set-vip x 10.9.0.3 l3dsr outer-port 7000": /l3dsr has no outer UDP header: leave outer-port out/,
              [`lb rl set-vip x 10.9.0.3 ${kind} src ${src} outer-port 0`]: /outer-port 1\.\.65535 expected/,
              [`lb rl set-vip x 10.9.0.3 ${kind}`]: new RegExp(`${kind} needs .src <IPv${outer6 ? 6 : 4} address>`),
              [`lb rl set-servers vip w ${s}:6080`.replace(s, outer6 ? `[${s}]` : s)]: /keeps the packet's port/,
            },
          },
        ],
      },
    ],
  };
}

export const groups = [
  dsr("l3dsr4", false, "l3dsr dscp 10", (s) => s, 40),
  dsr("l3dsr6", true, "l3dsr dscp 10", (s) => s, 40),
  dsr("l2dsr4", false, "l2dsr", (_, v) => v, 0),
  dsr("l2dsr6", true, "l2dsr", (_, v) => v, 0),
  nat(false),
  nat(true),
  ...["gre4", "gre6", "ipip4", "ipip6"].flatMap((k) => [
    tunnel(`${k} with IPv4 inside`, false, k),
    tunnel(`${k} with IPv6 inside`, true, k),
  ]),
  ...["gue4", "gue6"].flatMap((k) => [gue(`${k} with IPv4 inside`, false, k), gue(`${k} with IPv6 inside`, true, k)]),
];
