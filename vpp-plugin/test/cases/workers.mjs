// SPDX-License-Identifier: Apache-2.0
// Three workers, sharing cores where the machine has fewer: flows handed to their owner, fragments and ICMP errors that come to another
// worker, one load for the whole data plane. Then the groups of one worker once more.
import { C4, range, s4 } from "../lib/bed.mjs";
import { runCases } from "../lib/cases.mjs";
import { papi } from "../lib/papi.mjs";
import { groups as forward, icmpAbout } from "./forward.mjs";
import { groups as life } from "./life.mjs";
import { fragments, groups as odd } from "./odd.mjs";

const W = 3;
const N = "10.9.0.1";
const D = "10.9.0.2";
const servers = range(4, (i) => s4(i + 1)).join(" ");
const ask = (i) => ({ src: C4, dst: N, udp: true, sport: 5000 + i, dport: 80, payload: "ask" });
const answer = (src, dport) => ({ src, dst: C4, udp: true, sport: 80, dport, payload: "answer" });
const dsr = (i, more) => ({ src: "10.0.0.11", dst: D, udp: true, sport: 9000 + i, dport: 9, payload: "x", ...more });
const syn = (i, tcp = "S") => ({ src: "10.0.0.11", dst: D, tcp, sport: 9100 + i, dport: 80 });
const STICKY = { n: "10.9.0.3", d: "10.9.0.4" };
const affine = (dst, mode, client, i) => ({
  ...{ src: `10.0.${100 + mode}.${client + 1}`, dst, udp: true, sport: 2000 + 16 * client + i, dport: 80, payload: "s" },
});
/** Server of each client; throws where a client has two. */
function together(o) {
  const by = {};
  for (const p of o.server) check((by[p.src] ??= p.dst) === p.dst, `client ${p.src} was torn between ${by[p.src]} and ${p.dst}`);
  check(new Set(Object.values(by)).size > 1, "all clients have one server");
  return by;
}
const check = (ok, what) => {
  if (!ok) throw new Error(what);
};
const kept = { at: {} };
/** Where each flow (by the client's port) went. */
const places = (o) => Object.fromEntries(o.server.map((p) => [p.sport, p.dst]));
const all = (n) => (o) => o.length === n;
const same = (key) => (o) =>
  check(
    Object.entries(places(o)).every(([port, dst]) => kept[key][port] === dst),
    `flows moved: ${JSON.stringify(kept[key])} then ${JSON.stringify(places(o))}`,
  );
/** Flows by thread, as `show stats` has them: "thread 1: 12 of". */
const spread = (least) => ({
  test: (text) => [...text.matchAll(/thread [123]: (\d+) of/g)].filter((m) => Number(m[1]) >= least).length === W,
});

/** Twelve datagrams in two fragments each; each says in both which one it is. */
function datagrams(from) {
  return range(12, (i) => {
    const port = 6000 + from + i;
    return fragments({ src: C4, dst: N, udp: true, sport: port, dport: 80, payload: `${port}`.repeat(150) }, 304, port);
  });
}
/** Worker of a first fragment, and of those after it. */
const byPart = (first, later) => (p) => (p.frag[0] ? later : first);
/** All fragments of a datagram seen so far went to one server. */
function torn(o) {
  for (const p of o.server) {
    const port = p.frag[0] ? p.bytes.toString("latin1").slice(0, 4) : p.payload.slice(0, 4);
    check((kept.at[port] ??= p.dst) === p.dst, `datagram ${port} was torn between ${kept.at[port]} and ${p.dst}`);
  }
}

const own = {
  name: "handed over",
  setup: [
    `lb rl set-vip n ${N} nat`,
    `lb rl set-servers vip n ${servers}`,
    "lb rl nat interface pg1",
    `lb rl set-vip d ${D} l3dsr`,
    `lb rl set-servers vip d ${servers}`,
  ],
  // Threads that share cores may be apart for longer than the tenth of a second that VPP keeps fragments for.
  prepare(bed, options) {
    const client = papi(options.prefix, options.pluginDir);
    const wait = { timeout_ms: 5000, max_reassemblies: 1024, max_reassembly_length: 3, expire_walk_interval_ms: 10000 };
    if (!client.missing) client.call(`${bed.v.dir}/api.sock`, [["ip_reassembly_set", { ...wait, is_ip6: false, type: 1 }]]);
  },
  cases: [
    {
      name: "NAT: requests, answers and more requests come to different workers; each flow is one worker's, all workers have some",
      steps: [
        { worker: (p) => p.sport % W, send: range(60, ask), server: all(60), check: (o) => (kept.nat = places(o)) },
        {
          from: "server",
          worker: 1,
          send: () => Object.entries(kept.nat).map(([port, src]) => answer(src, Number(port))),
          client: (o) => o.length === 60 && o.every((p) => p.src === N && p.sport === 80 && p.sums === "ok"),
        },
        { worker: 2, send: range(60, ask), server: all(60), check: same("nat") },
        { worker: (p) => p.sport % W, send: range(60, ask), server: all(60), check: same("nat") },
        { says: { "lb rl show stats": spread(8) } },
        {
          from: "server",
          worker: (p) => p.dport % W,
          send: () => Object.entries(kept.nat).map(([port, src]) => answer(src, Number(port))),
          client: (o) => o.length === 60 && o.every((p) => p.src === N),
        },
      ],
    },
    {
      name: "NAT: a client port has flows through several VIPs at several workers; each answer finds its own, and no answer of nobody's comes",
      cli: range(3, (v) => [
        `lb rl set-vip m${v} 10.9.1.${v + 1} udp 80 nat`,
        `lb rl set-servers vip m${v} ${s4(((2 * v + 4) % 8) + 1)} ${s4(((2 * v + 4) % 8) + 2)}`,
      ]).flat(),
      steps: [
        ...range(3, (v) => ({
          worker: (p) => (p.sport + v) % W,
          send: range(30, (i) => ({ ...ask(100 + i), dst: `10.9.1.${v + 1}` })),
          server: all(30),
          check: (o) => (kept[`m${v}`] = places(o)),
        })),
        ...range(W, (w) =>
          range(3, (v) => ({
            from: "server",
            worker: (p) => (p.dport + w) % W,
            send: () => Object.entries(kept[`m${v}`]).map(([port, src]) => answer(src, Number(port))),
            client: (o) => o.length === 30 && o.every((p) => p.src === `10.9.1.${v + 1}` && p.sums === "ok"),
          })),
        ).flat(),
        {
          from: "server",
          worker: (p) => p.dport % W,
          send: range(30, (i) => answer(s4(5), 7000 + i)),
          client: (o) => o.length === 30 && o.every((p) => p.src === s4(5)),
        },
        { cli: range(3, (v) => `lb rl set-vip m${v} del`) },
      ],
    },
    {
      name: "NAT: a client port that is in use with a server, at another worker, is given another server",
      cli: ["8", "9"].flatMap((v) => [
        `lb rl set-vip c${v} 10.9.1.${v} tcp 80 nat`,
        `lb rl set-servers vip c${v} ${s4(5)} ${v === "9" ? s4(6) : ""}`,
      ]),
      steps: [
        { worker: 0, send: range(50, (i) => ({ ...syn(i), dst: "10.9.1.8" })), server: (o) => o.every((p) => p.dst === s4(5)) },
        {
          worker: 1,
          send: range(50, (i) => ({ ...syn(i), dst: "10.9.1.9" })),
          server: (o) => o.length === 50 && o.every((p) => p.dst === s4(6)),
        },
        { cli: ["lb rl set-vip c8 del", "lb rl set-vip c9 del"] },
      ],
    },
    {
      name: "NAT: fragments and their first one come to different workers, in any order, and reach one server",
      steps: [
        { worker: byPart(0, 1), send: datagrams(0).flat(), server: all(24), check: torn },
        { worker: byPart(1, 2), send: datagrams(12).flat(), server: all(24), check: torn },
        { worker: byPart(2, 0), send: datagrams(24).flat().reverse(), server: all(24), check: torn },
      ],
    },
    {
      name: "DSR: a flow stays with its worker and its server, whatever worker its packets come to, and its fragments with it",
      steps: [
        { worker: 0, send: range(30, (i) => dsr(i)), server: all(30), check: (o) => (kept.moved = places(o)) },
        { worker: 1, send: range(30, (i) => dsr(i)), server: all(30), check: same("moved") },
        { worker: (p) => p.sport % W, send: range(30, (i) => dsr(i)), server: all(30), check: same("moved") },
        ...range(W, (worker) => ({
          worker,
          send: range(30, (i) => fragments(dsr(i, { payload: `${9000 + i}`.repeat(150) }), 304, 100 * worker + i)).flat(),
          server: all(60),
          check: (o) => {
            for (const p of o.server) {
              const port = p.frag[0] ? p.bytes.toString("latin1").slice(0, 4) : p.payload.slice(0, 4);
              check(kept.moved[port] === p.dst, `flow ${port} of ${kept.moved[port]} had a fragment at ${p.dst}`);
            }
          },
        })),
        {
          worker: 0,
          send: range(20, (i) => [syn(i), syn(i, "A")]).flat(),
          server: all(40),
          check: (o) => (kept.tcp = places(o)),
        },
        ...range(W, (worker) => ({ worker, send: range(20, (i) => syn(i, "PA")), server: all(20), check: same("tcp") })),
        { says: { "lb rl show stats vip d": /flows 50, half-open 0, new 50,/ } },
      ],
    },
    {
      name: "sticky: a client's flows go to one server, whatever worker they come to, all at once or later, by DSR and NAT, SED and alias",
      cli: ["n", "d"].flatMap((fwd) => [
        `lb rl set-vip s${fwd} ${STICKY[fwd]} ${fwd === "n" ? "nat" : "l3dsr"} sticky`,
        `lb rl set-servers vip s${fwd} ${servers}`,
      ]),
      steps: ["sed", "alias"].flatMap((mode, m) =>
        ["n", "d"].flatMap((fwd) => [
          {
            cli: [`lb rl set-mode vip s${fwd} ${mode}`],
            worker: (p) => p.sport % W,
            send: range(40, (c) => range(6, (i) => affine(STICKY[fwd], m, c, i))).flat(),
            server: all(240),
            check: (o) => (kept[`sticky${fwd}`] = together(o)),
          },
          {
            worker: (p) => (p.sport + 1) % W,
            send: range(40, (c) => affine(STICKY[fwd], m, c, 7)),
            server: all(40),
            check: (o) =>
              check(
                o.server.every((p) => kept[`sticky${fwd}`][p.src] === p.dst),
                "a client's later flow went elsewhere",
              ),
          },
        ]),
      ),
    },
    {
      name: "an ICMP error about a flow that nobody has is not handed around",
      steps: range(W, (worker) => ({
        worker,
        send: [
          icmpAbout(false, "10.0.0.11", D, { src: D, dst: C4, udp: true, sport: 9, dport: 64999, payload: "z" }, [3, 4, 1400]),
        ],
        server: all(1),
        errors: { "ICMP errors sent on to the server": 1 },
      })),
    },
    {
      name: "DSR: an ICMP error at another worker than its flow's finds it",
      steps: [
        ...range(W, (worker) => ({
          worker,
          send: range(30, (i) => ({ src: C4, dst: D, udp: true, sport: 7000 + 100 * worker + i, dport: 9, payload: "x" })),
          server: all(30),
          check: (o) => (kept[`dsr${worker}`] = places(o)),
        })),
        ...range(W, (worker) => ({
          worker,
          send: range(W, (w) => 7000 + 100 * w + 5).map((port) =>
            icmpAbout(false, "10.0.0.11", D, { src: D, dst: C4, udp: true, sport: 9, dport: port, payload: "z" }, [3, 4, 1400]),
          ),
          server: (o) => o.length === W,
          check: (o) => {
            const want = range(W, (w) => kept[`dsr${w}`][7000 + 100 * w + 5]).sort();
            check(
              o.server
                .map((p) => p.dst)
                .sort()
                .join() === want.join(),
              `went to ${o.server.map((p) => p.dst)}, expected ${want}`,
            );
          },
        })),
      ],
    },
    {
      name: "one load for all workers: SED spreads what three workers take",
      steps: range(W, (worker) => ({
        cli: ["lb rl show stats"],
        worker,
        send: range(100, (i) => ({
          src: "10.0.0.10",
          dst: D,
          udp: true,
          sport: 8000 + 100 * worker + i,
          dport: 9,
          payload: "x",
        })),
        server: (o) =>
          o.length === 100 && range(4, (i) => o.filter((p) => p.dst === s4(i + 1)).length).every((n) => n >= 18 && n <= 32),
      })),
    },
  ],
};

const again = [...forward, ...life, ...odd].filter(
  (g) => !g.run && /^(l3dsr4|nat|life|several ports|defects|odd nat4|odd dsr6)/.test(g.name),
);
const groupsHere = [own, ...again.map((g) => ({ ...g, name: `${W} workers: ${g.name}` }))];

export const groups = [
  {
    name: "workers",
    count: groupsHere.reduce((n, g) => n + g.cases.length, 0),
    async run(options) {
      console.log(`# ${W} workers, sharing cores where there are fewer`);
      for (const g of groupsHere) await runCases(g, { ...options, workers: W });
    },
  },
];
