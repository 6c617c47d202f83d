// SPDX-License-Identifier: Apache-2.0
// What both directions tell under NAT: whose resets and ends are believed, and segments made smaller by the VIP's option.
import { C4, C6, s4, s6 } from "../lib/bed.mjs";

const V = "10.9.0.1";
const V6 = "fd00:9::1";
const c = (flags, sport, more) => ({ src: C4, dst: V, tcp: flags, sport, dport: 80, ...more });
const s = (flags, dport, more) => ({ src: s4(1), dst: C4, tcp: flags, sport: 80, dport, ...more });
const pass = [{ sums: "ok" }];
const counts = (n) => ({ until: { "lb rl show servers": new RegExp(`flows ${n} half-open 0`) } });

/** A connection: the client has sent up to 1100, the server up to 9100, each acknowledged by the other. */
const open = (sport) => [
  { send: [c("S", sport, { seq: 999 })], server: pass },
  { from: "server", send: [s("SA", sport, { seq: 8999, ack: 1000 })], client: pass },
  { send: [c("PA", sport, { seq: 1000, ack: 9000, payload: "x".repeat(100) })], server: pass },
  { from: "server", send: [s("PA", sport, { seq: 9000, ack: 1100, payload: "y".repeat(100) })], client: pass },
  { send: [c("A", sport, { seq: 1100, ack: 9100 })], server: pass },
];
const FAR = 0x40000000;

const resets = {
  name: "window",
  setup: [`lb rl set-vip n ${V} tcp 80 nat`, `lb rl set-servers ${s4(1)}`, "lb rl nat interface pg1"],
  cases: [
    {
      name: "a reset out of its receiver's window passes and changes nothing, from either side; one in it ends the flow's count",
      steps: [
        ...open(1),
        counts(1),
        { send: [c("R", 1, { seq: 1100 + FAR }), c("RA", 1, { seq: 1099 })], server: [{}, {}] },
        { from: "server", send: [s("R", 1, { seq: 9100 + FAR }), s("RA", 1, { seq: 9000, ack: 1100 })], client: [{}, {}] },
        { after: 300, ...counts(1) },
        { says: { "lb rl show flows": /port 1 -> n .* established/ } },
        { send: [c("R", 1, { seq: 1100 })], server: pass },
        counts(0),
        { says: { "lb rl show flows": /port 1 -> n .* reset/ } },
      ],
    },
    {
      name: "a server's reset within what its client takes ends the count, a little ahead too",
      steps: [...open(2), counts(1), { from: "server", send: [s("R", 2, { seq: 9100 + 65535 })], client: pass }, counts(0)],
    },
    {
      name: "an end from nowhere changes nothing; a true one, and one sent again, do what they say",
      steps: [
        ...open(3),
        { send: [c("FA", 3, { seq: 1100 + FAR, ack: 9100 })], server: pass },
        { says: { "lb rl show flows": /port 3 -> n .* established/ } },
        { send: [c("FA", 3, { seq: 1100, ack: 9100 })], server: pass },
        { says: { "lb rl show flows": /port 3 -> n .* fin-client/ } },
        { from: "server", send: [s("FA", 3, { seq: 9100, ack: 1101 })], client: pass },
        counts(0),
        { says: { "lb rl show flows": /port 3 -> n .* closing|port 3 -> n .* closed/ } },
      ],
    },
    {
      name: "numbers wrap: a reset just past 2^32 is in the window",
      steps: [
        { send: [c("S", 4, { seq: 0xfffffff0 })], server: pass },
        { from: "server", send: [s("SA", 4, { seq: 7, ack: 0xfffffff1 })], client: pass },
        { send: [c("A", 4, { seq: 0xfffffff1, ack: 8 })], server: pass },
        { send: [c("RA", 4, { seq: 5, ack: 8 })], server: pass },
        { says: { "lb rl show flows": /port 4 -> n .* reset/ } },
      ],
    },
    {
      name: "a refused connect's reset, whose number is 0, is believed",
      steps: [
        { send: [c("S", 5, { seq: 77 })], server: pass },
        { from: "server", send: [s("RA", 5, { seq: 0, ack: 78 })], client: pass },
        { says: { "lb rl show flows": /port 5 -> n .* reset|port 5 -> n .* closed/ } },
      ],
    },
  ],
};

/** MSS by itself, and at an odd place behind other options. */
const options = (mss, odd) => {
  const o = Buffer.from([2, 4, mss >> 8, mss & 255]);
  if (odd) return Buffer.concat([Buffer.from([1, 3, 3, 7, 1, 1, 1]), o, Buffer.from([0])]);
  return Buffer.concat([o, Buffer.from([4, 2, 1, 1])]);
};
const seen = (mss, odd) => (p) => p.length === 1 && p[0].sums === "ok" && p[0].tcpOptions.equals(options(mss, odd));

const clamp = {
  name: "mss",
  setup: [
    `lb rl set-vip m ${V} tcp 80 nat mss 1300`,
    `lb rl set-servers vip m ${s4(1)}`,
    `lb rl set-vip w ${V6} tcp 80 nat mss 1220`,
    `lb rl set-servers vip w ${s6(1)}`,
    "lb rl nat interface pg1",
  ],
  cases: [
    {
      name: "what both sides announce is made smaller, never larger, with the checksum right, wherever the option stands",
      steps: [false, true].flatMap((odd, i) => [
        { send: [c("S", 10 + i, { tcpOptions: options(1460, odd) })], server: seen(1300, odd) },
        { send: [c("S", 10 + i, { tcpOptions: options(1460, odd) })], server: seen(1300, odd) },
        { from: "server", send: [s("SA", 10 + i, { ack: 1001, tcpOptions: options(8960, odd) })], client: seen(1300, odd) },
        { send: [c("S", 20 + i, { tcpOptions: options(536, odd) })], server: seen(536, odd) },
        { from: "server", send: [s("SA", 20 + i, { ack: 1001, tcpOptions: options(1300, odd) })], client: seen(1300, odd) },
      ]),
    },
    {
      name: "IPv6, IPv4 with options, and no option at all",
      steps: [
        {
          send: [{ src: C6, dst: V6, tcp: "S", sport: 30, dport: 80, tcpOptions: options(1440) }],
          server: seen(1220),
        },
        {
          from: "server",
          send: [{ src: s6(1), dst: C6, tcp: "SA", sport: 80, dport: 30, ack: 1001, tcpOptions: options(1440) }],
          client: seen(1220),
        },
        {
          node: "ip4-lookup",
          send: [c("S", 31, { options: Buffer.from([1, 1, 1, 0]), tcpOptions: options(1460) })],
          server: seen(1300),
        },
        { send: [c("S", 32)], server: (p) => p.length === 1 && p[0].sums === "ok" && p[0].length === 20 },
      ],
    },
    {
      name: "options that make no sense stay as they are",
      steps: [
        [2, 4],
        [2, 3, 5, 5],
        [3, 0, 2, 4],
        [2, 2, 1, 1],
        [8, 44, 0, 0],
      ].map((o, i) => ({
        send: [c("S", 40 + i, { tcpOptions: Buffer.concat([Buffer.from(o), Buffer.alloc(4 - o.length, 1)]) })],
        server: (p) => p.length === 1 && p[0].sums === "ok" && p[0].tcpOptions.subarray(0, o.length).equals(Buffer.from(o)),
      })),
    },
    {
      name: "the option changes in place; with the client's side alone it is refused with what helps",
      steps: [
        { cli: [`lb rl set-vip m ${V} tcp 80 nat`], send: [c("S", 50, { tcpOptions: options(1460) })], server: seen(1460) },
        { says: { "lb rl set-vip d 10.9.0.2 tcp 80 gre4 src 10.0.1.1 mss 1300": /mss needs nat.*advmss/ } },
        { says: { [`lb rl set-vip m ${V} tcp 80 nat mss 20`]: /mss 256\.\.9000 expected/ } },
      ],
    },
  ],
};

export const groups = [resets, clamp];
