// SPDX-License-Identifier: Apache-2.0
// Lives of flows, VIPs and servers; and, as regression tests, the defects that VPP's own lb had.
import { C4, range, s4 } from "../lib/bed.mjs";

const V = "10.9.0.1";
const syn = (sport, more) => ({ src: C4, dst: V, tcp: "S", sport, dport: 80, ...more });
const udp = (sport, more) => ({ src: C4, dst: V, udp: true, sport, dport: 80, payload: "u", ...more });
const servers = (n) => range(n, (i) => s4(i + 1)).join(" ");
const to = (o) => o.server.map((p) => p.dst);
const check = (ok, what) => {
  if (!ok) throw new Error(what);
};
const anywhere = () => true;
const kept = {};
/** Sends the packets, remembers or compares where each went. */
const remember = (key, packets) => ({ send: packets, server: anywhere, check: (o) => (kept[key] = to(o)) });
const same = (key, packets) => ({
  send: packets,
  server: anywhere,
  check: (o) => check(to(o).join() === kept[key].join(), `flows moved: ${kept[key]} then ${to(o)}`),
});
const flows = range(64, (i) => udp(6000 + i));
const established = (i) => [syn(7000 + i), syn(7000 + i, { tcp: "A" })];
const tcp = range(32, (i) => syn(7000 + i, { tcp: "A" }));

export const groups = [
  {
    name: "life",
    setup: [`lb rl set-vip v ${V} l3dsr`, `lb rl set-servers ${servers(4)}`],
    cases: [
      {
        name: "no flow moves when weights, mode or servers change; new flows follow",
        steps: [
          remember("u", flows),
          { send: range(32, established).flat(), server: anywhere },
          remember("t", tcp),
          { cli: [`lb rl set-servers ${s4(1)}=100 ${s4(2)} ${s4(3)} ${s4(4)}`] },
          same("u", flows),
          ...["alias", "p2c", "hash", "sed"].flatMap((m) => [{ cli: [`lb rl set-mode ${m}`] }, same("t", tcp), same("u", flows)]),
          { cli: [`lb rl add-server ${s4(5)}`, `lb rl drain ${s4(2)}`] },
          same("u", flows),
          { cli: [`lb rl del-server ${s4(3)}`] },
          same("t", tcp),
          {
            send: range(200, (i) => udp(8000 + i)),
            server: (o) => o.length === 200 && o.every((p) => ![s4(2), s4(3)].includes(p.dst)),
          },
          { cli: [`lb rl drain ${s4(2)} off`] },
        ],
      },
      {
        name: "a packet of no flow that is no SYN goes by the ring, always to one server, and is counted",
        steps: [
          {
            send: range(16, (i) => syn(20000 + i, { tcp: "A" })),
            server: anywhere,
            errors: { "unknown flow, placed by the ring": 16 },
            check: (o) => (kept.ring = to(o)),
          },
          same(
            "ring",
            range(16, (i) => syn(20000 + i, { tcp: "A" })),
          ),
        ],
      },
      {
        name: "a flow counts from its ACK to its FIN",
        steps: [
          {
            send: [syn(30000), syn(30000, { tcp: "A" }), syn(30000, { tcp: "FA" }), syn(30000, { tcp: "A" })],
            server: (o) => o.length === 4 && new Set(o.map((p) => p.dst)).size === 1,
          },
          { says: { "lb rl show flows max 10000": /port 30000 .*fin-client idle \d+ ms ended/ } },
        ],
      },
    ],
  },
  {
    name: "spread",
    setup: [`lb rl set-vip v ${V} l3dsr`, `lb rl set-servers ${servers(4)}`],
    cases: [
      {
        name: "SED spreads equal weights evenly",
        steps: [
          {
            send: range(400, (i) => ({ ...udp(1000 + i), src: "10.0.0.10" })),
            server: (o) =>
              o.length === 400 && range(4, (i) => o.filter((p) => p.dst === s4(i + 1)).length).every((n) => n >= 90 && n <= 110),
          },
        ],
      },
    ],
  },
  {
    name: "sticky and prefixes",
    setup: [
      `lb rl set-vip s ${V} l3dsr sticky`,
      `lb rl set-servers vip s ${servers(4)}`,
      `lb rl set-vip p 10.9.1.0/24 l3dsr`,
      `lb rl set-servers vip p ${servers(4)}`,
      `lb rl set-vip q fd00:9:1::/64 l2dsr`,
      "lb rl set-servers vip q fd00:1::2",
    ],
    cases: [
      {
        name: "all flows of one client address go to one server",
        steps: [
          { send: range(40, (i) => udp(6000 + i)), server: (o) => o.length === 40 && new Set(o.map((p) => p.dst)).size === 1 },
        ],
      },
      {
        name: "clients of one IPv6 network are several clients of a sticky prefix",
        cli: ["lb rl set-vip z fd00:9:4::/64 l3dsr sticky", "lb rl set-servers vip z fd00:1::2 fd00:1::3 fd00:1::4"],
        steps: [
          {
            send: range(60, (i) => ({
              ...{ src: `fd00::${(256 + (i % 20)).toString(16)}`, dst: `fd00:9:4::${i + 1}`, udp: true, sport: 9 + i, dport: 6 },
            })),
            server: (o) => o.length === 60 && new Set(o.map((p) => p.dst)).size === 3,
            check: (o) => {
              const by = {};
              for (const p of o.server) check((by[p.src] ??= p.dst) === p.dst, `client ${p.src} was torn`);
            },
          },
        ],
      },
      {
        name: "addresses of a prefix are flows of their own",
        steps: [
          {
            send: range(64, (i) => ({ ...udp(6000), dst: `10.9.1.${i + 1}` })),
            server: (o) => o.length === 64 && new Set(o.map((p) => p.dst)).size > 1 && o.every((p) => p.sums === "ok"),
          },
          {
            send: [{ src: "fd00::9", dst: "fd00:9:1::77", udp: true, sport: 5, dport: 6 }],
            server: [{ dst: "fd00:9:1::77", sums: "ok" }],
          },
        ],
      },
      {
        name: "addresses of an IPv6 prefix are flows of their own, of /64 and of a shorter one; the end of one does not move another",
        cli: [
          "lb rl set-vip r fd00:9:2::/48 l3dsr",
          "lb rl set-servers vip r fd00:1::2 fd00:1::3 fd00:1::4 fd00:1::5",
          "lb rl set-vip r64 fd00:9:3::/64 l3dsr",
          "lb rl set-servers vip r64 fd00:1::2 fd00:1::3 fd00:1::4 fd00:1::5",
        ],
        steps: ["fd00:9:2:", "fd00:9:3:"].flatMap((net, n) => {
          const dst = (i) => `${net}${n ? "" : `${(i + 1).toString(16)}:`}:${(i + 1).toString(16)}`;
          const flow = (i, tcp) => ({ src: "fd00::9", dst: dst(i), tcp, sport: 777, dport: 80 });
          return [
            {
              send: range(32, (i) => [flow(i, "S"), flow(i, "A")]).flat(),
              server: (o) => o.length === 64 && new Set(o.map((p) => p.dst)).size === 4 && o.every((p) => p.sums === "ok"),
              errors: { "new flows": 32 },
              check: (o) => (kept.apart = to(o).filter((_, i) => i % 2)),
            },
            { send: range(16, (i) => flow(i, "R")), server: (o) => o.length === 16 },
            same(
              "apart",
              range(32, (i) => flow(i, "A")),
            ),
          ];
        }),
      },
    ],
  },
  {
    name: "several ports",
    setup: [
      `lb rl set-vip w ${V} tcp 80,443 udp 53 nat sticky`,
      `lb rl set-servers vip w ${servers(4)}`,
      "lb rl nat interface pg1",
    ],
    cases: [
      {
        name: "one VIP has several ports of both protocols, others are answered",
        steps: [
          { says: { "lb rl show config": /w 10\.9\.0\.1\/32 tcp 80,443 udp 53 nat sticky/ } },
          {
            send: [syn(1), syn(1, { dport: 443 }), udp(1, { dport: 53 }), udp(2), syn(3, { dport: 53 })],
            server: (o) =>
              o.length === 3 && new Set(o.map((p) => p.dst)).size === 1 && o.map((p) => p.dport).join() === "80,443,53",
            check: (o) => (kept.one = to(o)[0]),
            client: [{ icmp: [3, 3] }, { tcp: "RA", sport: 53 }],
          },
        ],
      },
      {
        name: "they are one flow space and one server list: replies of each port find their flow",
        steps: [
          {
            from: "server",
            send: () => [80, 443].map((sport) => ({ src: kept.one, dst: C4, tcp: "SA", sport, dport: 1 })),
            client: [
              { src: V, sport: 80, tcp: "SA", sums: "ok" },
              { src: V, sport: 443, tcp: "SA", sums: "ok" },
            ],
          },
          {
            cli: [`lb rl set-servers vip w ${s4(7)}`],
            send: [syn(50), syn(50, { dport: 443 })].map((p) => ({ ...p, src: "10.0.0.10" })),
            server: [
              { dst: s4(7), dport: 80 },
              { dst: s4(7), dport: 443 },
            ],
          },
        ],
      },
      {
        name: "what cannot be is refused with the reason; del frees all of them",
        steps: [
          {
            says: {
              [`lb rl set-servers vip w ${s4(1)}:80`]: /several ports.*leave the server's port out/,
              [`lb rl set-vip x ${V} tcp 8080,443 nat`]: /VIP w has tcp port 443/,
              [`lb rl set-vip x ${V} tcp 8080,8080 nat`]: /tcp port 8080 is named twice/,
              [`lb rl set-vip x ${V} tcp 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17 nat`]: /at most 16 ports/,
              [`lb rl set-vip x ${V} tcp 8080, nat`]: /expected/,
              "lb rl set-vip w del": /^$/,
              [`lb rl set-vip x ${V} tcp 443 udp 53,80 nat`]: /^$/,
              [`lb rl set-servers vip x ${s4(2)}`]: /^$/,
            },
          },
          {
            send: [syn(60, { dport: 443 }), udp(60), syn(60)],
            server: [
              { dst: s4(2), dport: 443 },
              { dst: s4(2), dport: 80 },
            ],
            client: [{ tcp: "RA" }],
          },
        ],
      },
    ],
  },
  {
    name: "adopted",
    setup: [`lb rl set-vip a ${V} tcp 80 nat`, `lb rl set-servers ${s4(1)}`, "lb rl nat interface pg1"],
    cases: [
      {
        name: "NAT: a flood of ACKs out of nowhere takes no room from established flows, however often they come",
        steps: [
          ...range(3, () => ({ send: range(500, (i) => syn(20000 + i, { tcp: "A" })), server: (o) => o.length === 500 })),
          { says: { "lb rl show stats": /thread 1: 0 of/ } },
        ],
      },
      {
        name: "NAT: a flow met in mid-stream is established by its server's word",
        steps: [
          { send: [syn(30000, { tcp: "A" })], server: [{ dst: s4(1), tcp: "A" }] },
          {
            from: "server",
            send: [{ src: s4(1), dst: C4, tcp: "A", sport: 80, dport: 30000 }],
            client: [{ src: V, sport: 80, dport: 30000, sums: "ok" }],
          },
          { says: { "lb rl show stats": /thread 1: 1 of/, "lb rl show flows max 10000": /port 30000 .*established/ } },
        ],
      },
    ],
  },
  {
    name: "defects of lb",
    setup: [`lb rl set-vip a ${V} tcp 80 nat`, `lb rl set-servers vip a ${s4(1)}:8080`, "lb rl nat interface pg1"],
    cases: [
      {
        name: "a wrong port of a right VIP is answered and does not crash",
        steps: [
          {
            send: [syn(1, { dport: 81 }), udp(2), syn(3)],
            client: [{ tcp: "RA" }, { icmp: [3, 3] }],
            server: [{ dst: s4(1), dport: 8080 }],
          },
        ],
      },
      {
        name: "several ports of one address: each has its own servers and target port; one goes, the others stay",
        cli: [
          `lb rl set-vip b ${V} tcp 443 nat`,
          `lb rl set-servers vip b ${s4(2)}:8443`,
          `lb rl set-vip c ${V} udp 80 nat`,
          `lb rl set-servers vip c ${s4(3)}:8053`,
        ],
        steps: [
          {
            send: [syn(10), syn(10, { dport: 443 }), udp(10)],
            server: [
              { dst: s4(1), dport: 8080 },
              { dst: s4(2), dport: 8443 },
              { dst: s4(3), dport: 8053, sums: "ok" },
            ],
          },
          {
            cli: ["lb rl set-vip b del"],
            send: [syn(11), syn(11, { dport: 443 }), udp(11)],
            client: [{ tcp: "RA", sport: 443 }],
            server: [{ dst: s4(1) }, { dst: s4(3) }],
          },
        ],
      },
      {
        name: "NAT takes TCP as well as UDP",
        steps: [
          {
            send: [syn(12), udp(12)],
            server: [
              { tcp: "S", dst: s4(1), sums: "ok" },
              { udp: true, dst: s4(3), sums: "ok" },
            ],
          },
        ],
      },
      {
        name: "one server of two VIPs: replies find their VIP, a port in use with it is refused",
        cli: [`lb rl set-vip d 10.9.0.2 tcp 80 nat`, `lb rl set-servers vip d ${s4(1)}:8080`],
        steps: [
          { send: [syn(20), { ...syn(21), dst: "10.9.0.2" }], server: [{ dst: s4(1) }, { dst: s4(1) }] },
          {
            from: "server",
            send: [20, 21].map((dport) => ({ src: s4(1), dst: C4, tcp: "SA", sport: 8080, dport })),
            client: [
              { src: V, dport: 20 },
              { src: "10.9.0.2", dport: 21 },
            ],
          },
          { send: [{ ...syn(20), dst: "10.9.0.2" }], client: [{ tcp: "RA" }], errors: { "NAT: client port in use": 1 } },
        ],
      },
      {
        name: "VIPs and servers deleted and made again, with flows: no crash, no stale forwarding",
        steps: range(5, () => ({
          cli: ["lb rl set-vip a del", `lb rl set-vip a ${V} tcp 80 nat`, `lb rl set-servers vip a ${s4(4)}:8080`],
          send: [syn(30), syn(31)],
          server: [{ dst: s4(4) }, { dst: s4(4) }],
        })),
      },
      {
        name: "disable with flows, enable again: nothing of before is left",
        steps: [
          { cli: ["lb rl disable"], send: [syn(40)] },
          {
            cli: ["lb rl enable flows 1024 half-open 1024", `lb rl set-vip a ${V} l3dsr`, `lb rl set-servers ${s4(5)}`],
            send: [syn(40)],
            server: [{ dst: s4(5) }],
          },
        ],
      },
      {
        name: "a full table: further flows still reach a server, by the ring, and are counted",
        steps: [
          {
            send: range(1500, (i) => udp(10000 + i)),
            server: (o) => o.length === 1500,
            // 1280 entries, of which single datagrams take seven eighths at most.
            errors: { "flow table full, placed by the ring": 1500 - 1120 },
          },
          { send: [udp(10000), udp(11499)], server: [{ dst: s4(5) }, { dst: s4(5) }] },
          { until: { "show logging": /VIP a: a flow table is full: new flows are placed by the ring/ } },
        ],
      },
      {
        name: "a SYN flood fills the half-open table and leaves established flows alone",
        cli: [
          "lb rl disable",
          "lb rl enable flows 4096 half-open 1024",
          `lb rl set-vip a ${V} l3dsr`,
          `lb rl set-servers ${servers(4)}`,
        ],
        steps: [
          { send: range(32, established).flat(), server: anywhere },
          remember("f", tcp),
          { send: range(3000, (i) => ({ ...syn(20000 + i), src: "10.0.0.10" })), server: (o) => o.length === 3000 },
          same("f", tcp),
        ],
      },
    ],
  },
  {
    name: "commands",
    setup: [],
    cases: [
      {
        name: "a wrong argument says what was expected",
        steps: [
          {
            says: {
              "lb rl set-vip v 10.9.0.1 tcp 0": /port 1\.\.65535/,
              "lb rl set-vip v 10.9.0.0/24 nat": /one address/,
              "lb rl set-vip v 10.9.0.1 gre4": /src/,
              "lb rl set-vip v 10.9.0.1 l3dsr dscp 64": /0\.\.63/,
              "lb rl set-vip": /expected: lb rl set-vip/,
              "lb rl set-servers 10.0.0": /expected: lb rl set-servers/,
              "lb rl set-servers 10.0.1.2=-1": /expected/,
              "lb rl drain 10.0.1.2": /no VIP yet/,
              "lb rl set-mode fast": /hash\|alias\|sed\|p2c/,
              "lb rl set-shm relative": /disable.*first|absolute/,
              "lb rl enable": /enabled already/,
              "lb rl nat interface nosuch": /expected: lb rl nat interface/,
              "lb rl show flows max 1000000": /1\.\.10000/,
            },
          },
        ],
      },
      {
        name: "staged servers come with set-vip; every show command answers",
        cli: [],
        steps: [
          { says: { [`lb rl set-servers ${servers(2)}`]: /2 servers wait/ } },
          { says: { "lb rl show config": /2 servers wait/ } },
          {
            cli: [`lb rl set-vip v ${V} l3dsr dscp 3`],
            send: [syn(1)],
            server: anywhere,
            check: (o) => check(o.server.length === 1, "not forwarded"),
          },
          {
            says: {
              "lb rl show config": /VIP \[1\] v 10\.9\.0\.1\/32 all ports l3dsr dscp 3/,
              "lb rl show servers": /10\.0\.1\.2/,
              "lb rl show stats":
                /tables of 65536 flows and 4096 half-open a worker were asked for.*\nthread 0[\s\S]*thread 1: 0 of 81920 flows/,
              "lb rl show weights": /weights from static-dp/,
              "lb rl show flows": /10\.0\.0\.9 port 1 -> v port 80/,
            },
          },
        ],
      },
      {
        name: "stop lets traffic pass by, start takes it again",
        steps: [
          { cli: ["lb rl stop"], send: [syn(2)] },
          { cli: ["lb rl start"], send: [syn(2)], server: anywhere, check: (o) => check(o.server.length === 1, "not forwarded") },
        ],
      },
    ],
  },
];
