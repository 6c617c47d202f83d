// SPDX-License-Identifier: Apache-2.0
// Servers and the routes to them: those that lead back to a VIP would have a packet go round in a worker for ever; a router would send
// back what keeps the VIP's address.
import { C4, C6, s4, s6, serverMac } from "../lib/bed.mjs";

const V = "10.9.0.1";
const W = "10.9.0.2";
const V6 = "fd00:9::1";
const udp = (dst, sport, more) => ({ src: C4, dst, udp: true, sport, dport: 80, payload: "u", ...more });
const LOOP = "server's route leads back to a VIP";
const ROUTER = "server behind a router (l2dsr)";
/** A server behind a router, in a network of its own; a VIP that is a prefix covers it once its route is gone. */
const FAR = "10.5.0.2";
const FAR6 = "fd00:5::2";
const covered = (name, fwd, i) => ({
  name: `${name}: a route that turns towards a VIP drops and counts; when it turns away again, packets flow`,
  cli: [
    `ip route add 10.5.0.0/24 via ${s4(1)} pg1`,
    `lb rl set-vip t 10.9.1.${i} udp 80 ${fwd}`,
    `lb rl set-servers vip t ${FAR}`,
  ],
  steps: [
    { send: [udp(`10.9.1.${i}`, 1)], server: [() => true] },
    {
      cli: [
        "lb rl set-vip wide 10.5.0.0/16 l3dsr",
        `lb rl set-servers vip wide ${s4(2)}`,
        `ip route del 10.5.0.0/24 via ${s4(1)} pg1`,
      ],
      send: [udp(`10.9.1.${i}`, 1), udp(`10.9.1.${i}`, 2)],
      errors: { [LOOP]: 2 },
    },
    {
      says: {
        "lb rl show servers vip t": /leads back to a VIP/,
        "show logging": /VIP t: the route to server 10\.5\.0\.2 leads back/,
      },
    },
    {
      cli: [`ip route add 10.5.0.0/24 via ${s4(1)} pg1`],
      send: [udp(`10.9.1.${i}`, 1)],
      server: [() => true],
      errors: { [LOOP]: 0 },
    },
    { cli: ["lb rl set-vip wide del", "lb rl set-vip t del"] },
  ],
});

export const groups = [
  {
    name: "route",
    setup: [],
    cases: [
      {
        name: "a server that leads back to a VIP is refused: the VIP's own address, another VIP, a prefix that covers it",
        steps: [
          {
            says: {
              [`lb rl set-vip a ${V} udp 80 l3dsr`]: /^$/,
              [`lb rl set-servers vip a ${V}`]: /leads back to a VIP/,
              [`lb rl set-vip b ${W} udp 80 nat`]: /^$/,
              [`lb rl set-servers vip b ${s4(1)} ${V}`]: /leads back to a VIP/,
              [`lb rl add-server vip b ${V}`]: /leads back to a VIP/,
              "lb rl set-vip c 10.77.0.0/16 l3dsr": /^$/,
              "lb rl add-server vip c 10.77.1.1": /leads back to a VIP/,
              [`lb rl set-vip d ${V6} udp 80 gre4 src 10.0.1.1`]: /^$/,
              [`lb rl add-server vip d ${V}`]: /leads back to a VIP/,
              [`lb rl add-server vip b ${s4(1)}`]: /^$/,
            },
          },
          { send: [udp(W, 1), udp(V, 1)], server: [{ dst: s4(1) }], client: [{ icmp: [3, 3] }] },
        ],
      },
      {
        name: "only a host's address is a server's; an interface's own address is no VIP",
        steps: [
          {
            says: Object.fromEntries([
              ...["0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255"].map((a) => [
                `lb rl add-server vip a ${a}`,
                /address of a host/,
              ]),
              ["lb rl set-vip o 10.0.0.1 udp 80 nat", /interface's own address/],
              ["lb rl set-vip o fd00::1 udp 80 nat", /interface's own address/],
              ["lb rl set-vip o 10.9.0.9 udp 80 gre4 src 0.0.0.0", /src: the address of a host expected/],
              ["lb rl set-vip o 10.9.0.9 udp 80 gre6 src ff02::1", /src: the address of a host expected/],
              ["lb rl nat interface local0", /not local0/],
              ["lb rl set-vip a%b 10.9.0.9 udp 80 nat", /expected: lb rl set-vip/],
              ["lb rl set-vip e fd00:9::5 udp 80 l3dsr", /^$/],
              ["lb rl add-server vip e ::", /address of a host/],
              ["lb rl add-server vip e ff02::1", /address of a host/],
            ]),
          },
        ],
      },
      covered("l3dsr", "l3dsr", 1),
      covered("nat", "nat", 2),
      covered("gre4", "gre4 src 10.0.1.1", 4),
      {
        name: "the same of IPv6, and of a tunnel whose outer header is of the other family",
        cli: [
          `ip route add fd00:5::/64 via ${s6(1)} pg1`,
          "lb rl set-vip x 10.9.2.1 udp 80 ipip6 src fd00:1::1",
          `lb rl set-servers vip x ${FAR6}`,
          "lb rl set-vip y fd00:9::7 udp 80 nat",
          `lb rl set-servers vip y ${FAR6}`,
        ],
        steps: [
          { send: [udp("10.9.2.1", 1), udp("fd00:9::7", 1, { src: C6 })], server: [() => true, () => true] },
          {
            cli: [
              "lb rl set-vip wide fd00:5::/64 l3dsr",
              `lb rl set-servers vip wide ${s6(2)}`,
              `ip route del fd00:5::/64 via ${s6(1)} pg1`,
            ],
            send: [udp("10.9.2.1", 1), udp("fd00:9::7", 1, { src: C6 })],
            errors: { [LOOP]: 2 },
          },
        ],
      },
      {
        name: "a route of a route: the next hop's own route turns",
        cli: [
          `ip route add 10.6.0.0/24 via ${s4(1)} pg1`,
          "ip route add 10.7.0.0/24 via 10.6.0.9",
          "lb rl set-vip z 10.9.3.1 udp 80 l3dsr",
          "lb rl set-servers vip z 10.7.0.2",
        ],
        steps: [
          { send: [udp("10.9.3.1", 1)], server: [{ dst: "10.7.0.2" }] },
          {
            cli: ["lb rl set-vip r 10.6.0.9 udp 80 l3dsr", `lb rl set-servers vip r ${s4(2)}`],
            send: [udp("10.9.3.1", 1)],
            errors: { [LOOP]: 1 },
          },
          { cli: ["lb rl stop", "lb rl start"], send: [udp("10.9.3.1", 1)], errors: { [LOOP]: 1 } },
          { cli: ["lb rl set-vip r del"], send: [udp("10.9.3.1", 1)], server: [{ dst: "10.7.0.2" }] },
        ],
      },
      {
        name: "l2dsr: a server whose address becomes a VIP's is dropped and counted until it is one no more",
        cli: ["lb rl set-vip s 10.9.4.1 udp 80 l2dsr", `lb rl set-servers vip s ${s4(4)}`],
        steps: [
          { send: [udp("10.9.4.1", 1)], server: [{ dst: "10.9.4.1", dmac: serverMac(4) }] },
          { cli: [`lb rl set-vip t ${s4(4)} udp 80 l3dsr`], send: [udp("10.9.4.1", 1)], errors: { [LOOP]: 1 } },
          { cli: ["lb rl set-vip t del"], send: [udp("10.9.4.1", 1)], server: [{ dst: "10.9.4.1" }], errors: { [LOOP]: 0 } },
        ],
      },
      {
        name: "l2dsr: a server behind a router is refused, of either family, also in a list, and where a VIP turns to it",
        cli: [
          `ip route add 10.8.0.0/24 via ${s4(1)} pg1`,
          "ip route add 10.8.1.0/24 via 10.8.0.9",
          `ip route add fd00:8::/64 via ${s6(1)} pg1`,
          "lb rl set-vip l 10.9.4.2 udp 80 l2dsr",
          "lb rl set-vip l6 fd00:9::8 udp 80 l2dsr",
          "lb rl set-vip far 10.9.4.3 udp 80 l3dsr",
          "lb rl set-servers vip far 10.8.0.2",
        ],
        steps: [
          {
            says: {
              "lb rl add-server vip l 10.8.0.2": /passes a router.*on the same link/,
              "lb rl add-server vip l 10.8.1.2": /passes a router/,
              [`lb rl set-servers vip l ${s4(1)} 10.8.0.2`]: /passes a router/,
              "lb rl add-server vip l6 fd00:8::2": /passes a router/,
              "lb rl set-vip far 10.9.4.3 udp 80 l2dsr": /VIP far has a server whose route passes a router/,
              // On the link, its neighbour known or not.
              [`lb rl set-servers vip l ${s4(1)} 10.0.1.200`]: /^$/,
              [`lb rl add-server vip l6 ${s6(1)}`]: /^$/,
            },
          },
          { send: [udp("10.9.4.3", 1)], server: [{ dst: "10.8.0.2" }] },
        ],
      },
      {
        name: "l2dsr: a server that gets behind a router is dropped and counted, until its route is of the link again",
        cli: ["lb rl set-vip m 10.9.4.4 udp 80 l2dsr", `lb rl set-servers vip m ${s4(5)}`],
        steps: [
          { send: [udp("10.9.4.4", 1)], server: [{ dst: "10.9.4.4", dmac: serverMac(5) }] },
          {
            cli: [`ip route add ${s4(5)}/32 via ${s4(1)} pg1`],
            send: [udp("10.9.4.4", 1), udp("10.9.4.4", 2)],
            errors: { [ROUTER]: 2 },
          },
          {
            until: { "lb rl show servers vip m": /server behind a router \(l2dsr\), dropped/ },
            says: { "show logging": /VIP m: the route to server 10\.0\.1\.6 passes a router/ },
          },
          {
            cli: ["lb rl set-vip m 10.9.4.4 udp 80 l3dsr"],
            send: [udp("10.9.4.4", 1)],
            server: [{ dst: s4(5), dmac: serverMac(1) }],
          },
          { says: { "lb rl set-vip m 10.9.4.4 udp 80 l2dsr": /passes a router/ } },
          {
            cli: [`ip route del ${s4(5)}/32 via ${s4(1)} pg1`, "lb rl set-vip m 10.9.4.4 udp 80 l2dsr"],
            send: [udp("10.9.4.4", 1)],
            server: [{ dst: "10.9.4.4", dmac: serverMac(5) }],
            errors: { [ROUTER]: 0 },
          },
        ],
      },
    ],
  },
];
