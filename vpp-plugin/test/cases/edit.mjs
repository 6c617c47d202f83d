// SPDX-License-Identifier: Apache-2.0
// A VIP that changes while it serves, and VIPs of other FIB tables.
import { C4, s4, s6 } from "../lib/bed.mjs";

const V = "10.9.0.1";
const udp = (sport, more) => ({ src: C4, dst: V, udp: true, sport, dport: 80, payload: "u", ...more });
const tcp = (flags, sport, more) => ({ src: C4, dst: V, tcp: flags, sport, dport: 80, ...more });
const refused = (command, why) => ({ says: { [command]: why } });

const inPlace = {
  name: "edit",
  setup: [`lb rl set-vip v ${V} tcp 80 l3dsr dscp 3`, `lb rl set-servers ${s4(1)} ${s4(2)}`],
  cases: [
    {
      name: "ports, DSCP and way of forwarding change; a flow stays with its server",
      steps: [
        { send: [tcp("S", 1), tcp("A", 1)], server: (p) => p.length === 2 && p[0].dst === p[1].dst && p[0].tos === 12 },
        {
          cli: [`lb rl set-vip v ${V} tcp 80,443 l3dsr dscp 7`],
          send: [tcp("A", 1), tcp("S", 2, { dport: 443 })],
          server: (p) => p.length === 2 && p.every((x) => x.tos === 28),
        },
        { says: { "show memory map": /lb-rl flows [01]\b[\s\S]*lb-rl half-open [01]\b/ } },
        { says: { "lb rl show config": /VIP \[1\] v 10\.9\.0\.1\/32 tcp 80,443 l3dsr dscp 7 / } },
        { cli: [`lb rl set-vip v ${V} tcp 80 l2dsr`], send: [tcp("A", 1)], server: [{ dst: V, tos: 0 }] },
        { send: [tcp("A", 2, { dport: 443 })], client: [{ tcp: "R" }] },
        { cli: [`lb rl set-vip v ${V} tcp 80 l3dsr dscp 3`], send: [tcp("A", 1)], server: [{ tos: 12 }] },
      ],
    },
    {
      name: "the same line again changes nothing, and a mode that the line leaves out stays",
      steps: [
        {
          cli: [
            "lb rl set-mode vip v alias",
            `lb rl set-vip v ${V} tcp 80 l3dsr dscp 3`,
            `lb rl set-vip v ${V} tcp 80 l3dsr dscp 3`,
          ],
        },
        { until: { "lb rl show weights": /mode alias/ }, send: [tcp("A", 1)], server: [{ tos: 12 }] },
        { cli: [`lb rl set-vip v ${V} tcp 80 l3dsr dscp 3 mode sed`] },
        { until: { "lb rl show weights": /mode sed/ } },
      ],
    },
    {
      name: "what cannot change is refused with what to do, and nothing changes",
      steps: [
        refused("lb rl set-vip v 10.9.0.2 tcp 80 l3dsr", /another address or table.*set-vip v del/),
        refused(`lb rl set-vip v ${V} tcp 80 nat`, /VIP v is l3dsr, whose flows and servers are not those of nat/),
        refused(`lb rl set-vip v ${V} tcp 80 gre4 src 10.0.1.1`, /VIP v is l3dsr, whose flows and servers are not those of gre4/),
        refused(`lb rl set-vip v ${V} tcp 80 l3dsr max-servers 7`, /room for 1024 servers/),
        refused(`lb rl set-vip v ${V} tcp 80 l3dsr load waiting`, /load waiting needs nat/),
        refused(`lb rl set-vip w ${V} tcp 443 l3dsr`, /^$/),
        refused(`lb rl set-vip v ${V} tcp 80,443 l3dsr`, /VIP w has tcp port 443 of this address/),
        refused(`lb rl set-vip v ${V} tcp 80 l3dsr src 10.0.1.1`, /no outer header/),
        { send: [tcp("A", 1)], server: [{ tos: 12 }] },
        { cli: ["lb rl set-vip w del"] },
      ],
    },
    {
      name: "all ports, then one again; the other VIP's ports are untouched",
      steps: [
        { cli: [`lb rl set-vip w ${V} udp 53 l3dsr`, `lb rl set-servers vip w ${s4(3)}`] },
        {
          cli: [`lb rl set-vip v ${V} l3dsr`],
          send: [udp(5, { dport: 4000 }), udp(6, { dport: 53 })],
          server: [{}, { dst: s4(3) }],
        },
        { cli: [`lb rl set-vip v ${V} tcp 80 l3dsr`], send: [udp(5, { dport: 4000 })], client: [{ icmp: [3, 3] }] },
        { send: [udp(6, { dport: 53 })], server: [{ dst: s4(3) }] },
      ],
    },
  ],
};

const tunnel = {
  name: "edit tunnel",
  setup: [`lb rl set-vip t ${V} gre4 src 10.0.1.1`, `lb rl set-servers ${s4(1)}`],
  cases: [
    {
      name: "the outer source and the kind of tunnel change for servers that are there",
      steps: [
        { send: [udp(1)], server: [{ src: "10.0.1.1", dst: s4(1), gre: 0x0800, inner: { dst: V, sums: "ok" }, sums: "ok" }] },
        {
          cli: [`lb rl set-vip t ${V} gre4 src 10.0.1.250`],
          send: [udp(1)],
          server: [{ src: "10.0.1.250", gre: 0x0800, sums: "ok" }],
        },
        {
          cli: [`lb rl set-vip t ${V} ipip4 src 10.0.1.250`],
          send: [udp(1)],
          server: [{ src: "10.0.1.250", dst: s4(1), inner: { dst: V, sport: 1, sums: "ok" }, sums: "ok" }],
        },
        {
          cli: [`lb rl set-vip t ${V} gue4 src 10.0.1.250 outer-port 7000`],
          send: [udp(1)],
          server: [{ dport: 7000, sums: "ok" }],
        },
        refused(`lb rl set-vip t ${V} gre6 src fd00:1::1`, /not those of gre6/),
      ],
    },
  ],
};

const ported = {
  name: "edit nat",
  setup: [`lb rl set-vip n ${V} tcp 80 nat`, `lb rl set-servers vip n ${s4(1)}:8080`, "lb rl nat interface pg1"],
  cases: [
    {
      name: "servers with ports of their own hold the VIP at one port; load and ejection change",
      steps: [
        refused(`lb rl set-vip n ${V} tcp 80,443 nat`, /servers with ports of their own, which needs one port/),
        { cli: [`lb rl set-vip n ${V} tcp 80 nat load waiting no-eject no-guard`] },
        { send: [tcp("S", 9)], server: [{ tcp: "S", dst: s4(1), dport: 8080, sums: "ok" }] },
        { cli: [`lb rl set-vip n ${V} tcp 80 nat`], send: [tcp("S", 10)], server: [{ dst: s4(1), dport: 8080 }] },
      ],
    },
  ],
};

/** Interface pg2 in table 7, with the addresses of pg1's network a second time. */
const tables = {
  name: "tables",
  setup: [
    "ip table add 7",
    "ip6 table add 7",
    "create packet-generator interface pg2 hw-addr 02:fe:00:00:00:03",
    "set interface ip table pg2 7",
    "set interface ip6 table pg2 7",
    "set interface state pg2 up",
    "set interface ip address pg2 10.0.1.1/24",
    "set interface ip address pg2 fd00:1::1/64",
    ...[1, 2, 3].map((i) => `ip neighbor pg2 ${s4(i)} 02:00:00:00:07:0${i}`),
    ...[1, 2, 3].map((i) => `ip neighbor pg2 ${s6(i)} 02:00:00:00:07:0${i}`),
    "ip route add 10.9.7.0/24 via ip4-lookup-in-table 7",
  ],
  cases: [
    {
      name: "one address is two VIPs in two tables, each with its own servers",
      steps: [
        refused(`lb rl set-vip x ${V} udp 80 l3dsr table 8`, /there is no table 8 .*`ip table add 8`/),
        {
          cli: [
            `lb rl set-vip a ${V} udp 80 l3dsr`,
            `lb rl set-servers vip a ${s4(1)}`,
            `lb rl set-vip b ${V} udp 80 l3dsr table 7`,
            `lb rl set-servers vip b ${s4(2)}`,
          ],
        },
        { send: [udp(1)], server: [{ dst: s4(1) }] },
        { says: { "lb rl show config": /VIP \[2\] b 10\.9\.0\.1\/32 udp 80 l3dsr dscp 0 table 7 / } },
        { until: { "lb rl show servers vip b": /pg2/, "lb rl show servers vip a": /pg1/ } }, // figures come with the next frame
        { says: { "show ip fib table 7 10.9.0.1/32": /lb-rl 10\.9\.0\.1\/32: 1 VIPs/ } },
        { says: { "lb rl set-vip b del": /^$/, "lb rl set-vip a del": /^$/ } },
        { says: { "show ip fib table 7 10.9.0.1/32": /^(?!.*lb-rl 10\.9)/s } },
      ],
    },
    {
      name: "a client's packet that a route brings to the table reaches the table's server: l3dsr, and a tunnel of the other family",
      steps: [
        {
          cli: ["lb rl set-vip c 10.9.7.1 udp 80 l3dsr table 7", `lb rl set-servers vip c ${s4(2)}`],
          captures: "pg2",
          send: [udp(3, { dst: "10.9.7.1" })],
          server: [{ dst: s4(2), dmac: "02:00:00:00:07:02" }],
        },
        {
          cli: ["lb rl set-vip d 10.9.7.2 udp 80 gre6 src fd00:1::1 table 7", `lb rl set-servers vip d ${s6(3)}`],
          captures: "pg2",
          send: [udp(4, { dst: "10.9.7.2" })],
          server: [{ dst: s6(3), gre: 0x0800, dmac: "02:00:00:00:07:03" }],
        },
      ],
    },
    {
      name: "NAT: a reply is of the VIP in the table that it comes by, though another VIP has a server of that address",
      steps: [
        {
          cli: [
            `lb rl set-vip e ${V} udp 80 nat`,
            `lb rl set-servers vip e ${s4(1)}`,
            "lb rl set-vip f 10.9.7.3 udp 80 nat table 7",
            `lb rl set-servers vip f ${s4(1)}`,
            "lb rl nat interface pg1",
            "lb rl nat interface pg2",
            "ip route add table 7 10.0.0.0/24 via ip4-lookup-in-table 0",
          ],
          send: [udp(5)],
          server: [{ dst: s4(1), dmac: "02:00:00:00:01:02" }],
        },
        { captures: "pg2", send: [udp(5, { dst: "10.9.7.3" })], server: [{ dst: s4(1), dmac: "02:00:00:00:07:01" }] },
        { from: "server", send: [{ src: s4(1), dst: C4, udp: true, sport: 80, dport: 5 }], client: [{ src: V, sums: "ok" }] },
        {
          captures: "pg2",
          from: "server",
          send: [{ src: s4(1), dst: C4, udp: true, sport: 80, dport: 5 }],
          client: [{ src: "10.9.7.3", sums: "ok" }],
        },
      ],
    },
  ],
};

export const groups = [inPlace, tunnel, ported, tables];
