// SPDX-License-Identifier: Apache-2.0
// The ends of connections: slow handshakes, half-closed and reset flows, servers that are removed meanwhile, time-outs, flush.
import { C4, range, s4 } from "../lib/bed.mjs";

const D = "10.9.0.1";
const N = "10.9.0.2";
const servers = (n) => range(n, (i) => s4(i + 1)).join(" ");
const seg = (dst, sport, tcp, more) => ({ src: C4, dst, tcp, sport, dport: 80, ...more });
const flows = (dst, first, n, ...flags) => flags.flatMap((f) => range(n, (i) => seg(dst, first + i, f)));
const kept = {};
const check = (ok, what) => {
  if (!ok) throw new Error(what);
};
/** Where each port's packets went; throws where they went to several. */
function place(key, o) {
  kept[key] ??= {};
  for (const p of o.server)
    check((kept[key][p.sport] ??= p.dst) === p.dst, `port ${p.sport} of ${kept[key][p.sport]} went to ${p.dst}`);
}
/** These go to where those of the key went before. */
const stay = (key, packets, more) => ({
  send: packets,
  server: (o) => o.length === packets.length,
  check: (o) => place(key, o),
  ...more,
});
/** Servers' packets of flows that were placed under NAT, to the clients. */
const replies = (key, tcp) => ({
  from: "server",
  send: () => Object.entries(kept[key]).map(([port, src]) => ({ src, dst: C4, tcp, sport: 80, dport: Number(port) })),
  client: (o) => o.length === Object.keys(kept[key]).length && o.every((p) => p.src === N && p.sport === 80 && p.sums === "ok"),
});

const closing = {
  name: "closing",
  setup: [
    `lb rl set-vip d ${D} tcp 80 l3dsr`,
    `lb rl set-servers vip d ${servers(4)}`,
    `lb rl set-vip n ${N} tcp 80 nat`,
    `lb rl set-servers vip n ${servers(4)}`,
    "lb rl nat interface pg1",
  ],
  cases: [
    {
      name: "DSR: a client that closed its side goes on with its server, also when that is removed",
      steps: [
        stay("half", flows(D, 1000, 16, "S", "A", "FA")),
        { cli: [`lb rl del-server vip d ${s4(1)}`, `lb rl del-server vip d ${s4(2)}`] },
        stay("half", flows(D, 1000, 16, "A"), { after: 700 }),
      ],
    },
    {
      name: "NAT: both sides closed, then the server is removed: the last packets, and those sent again, find their way",
      steps: [
        stay("both", flows(N, 2000, 16, "S")),
        replies("both", "SA"),
        stay("both", flows(N, 2000, 16, "A", "FA")),
        replies("both", "FA"),
        { cli: [`lb rl del-server vip n ${s4(1)}`, `lb rl del-server vip n ${s4(2)}`] },
        { ...replies("both", "A"), after: 700 },
        stay("both", flows(N, 2000, 16, "FA", "A")),
        replies("both", "FA"),
      ],
    },
    {
      name: "a FIN with the handshake's last ACK is a connection like others",
      steps: [
        { cli: [`lb rl set-servers vip n ${servers(4)}`, `lb rl set-servers vip d ${servers(4)}`] },
        stay("early", flows(N, 2100, 4, "S")),
        replies("early", "SA"),
        stay("early", flows(N, 2100, 4, "FA")),
        { says: { "lb rl show flows vip n max 10000": /port 2100 .*fin-client idle \d+ ms\s*$/m } },
        replies("early", "PA"),
      ],
    },
    {
      name: "slow handshakes, half-closed and reset flows stay with their servers over 11 silent seconds",
      steps: [
        stay("slow", flows(D, 3000, 16, "S")),
        stay("slownat", flows(N, 3100, 16, "S")),
        stay("fin", flows(D, 3200, 16, "S", "A", "FA")),
        stay("rst", flows(D, 3300, 16, "S", "A", "R")),
        stay("rstnat", flows(N, 3400, 16, "S")),
        replies("rstnat", "SA"),
        stay("rstnat", flows(N, 3400, 16, "A", "R")),
        // Linux sends a SYN again after 1, 3 and 7 s.
        stay("slow", flows(D, 3000, 16, "A"), { after: 4600 }),
        { ...replies("slownat", "SA") },
        stay("slownat", flows(N, 3100, 16, "A")),
        stay("fin", flows(D, 3200, 16, "A"), { after: 6500 }),
        stay("rst", flows(D, 3300, 16, "A"), { errors: { "unknown flow, placed by the ring": 0 } }),
        replies("rstnat", "PA"),
        stay("rstnat", flows(N, 3400, 16, "A")),
        {
          says: {
            // A flow that went on after a reset counts again; the slow ones were established.
            "lb rl show flows max 10000": {
              test: (t) =>
                [30, 31, 33, 34].every(
                  (p) => t.match(new RegExp(`port ${p}\\d\\d .*established idle \\d+ ms\\s*$`, "gm"))?.length === 16,
                ),
            },
          },
        },
      ],
    },
    {
      name: "an unanswered SYN that comes again goes to the same server; NAT and DSR",
      steps: [
        stay("again", [...flows(D, 4000, 16, "S"), ...flows(N, 4100, 16, "S")]),
        stay("again", flows(D, 4000, 16, "S"), { after: 4500 }),
      ],
    },
  ],
};

const timed = {
  name: "time-outs",
  setup: [
    "lb rl disable",
    "lb rl enable flows 1024 half-open 1024 half-open-timeout 4 established-timeout 15 fin-timeout 2 closing-timeout 1 udp-timeout 2",
    `lb rl set-vip d ${D} l3dsr`,
    `lb rl set-servers vip d ${servers(4)}`,
    `lb rl set-vip n ${N} tcp 80 nat`,
    `lb rl set-servers vip n ${servers(2)}`,
    "lb rl nat interface pg1",
  ],
  cases: [
    {
      name: "each state has its own, set by the user; a removed server goes with its last flow's entry",
      steps: [
        { says: { "lb rl show config": /half-open 4 s, established 15 s, fin 2 s, closing 1 s, udp 2 s/ } },
        stay("t", flows(D, 100, 4, "S")),
        stay("t", flows(D, 300, 4, "S", "A", "FA")),
        stay("t", flows(D, 400, 4, "S", "A", "R")),
        // The last to come, and long enough to be there when the others have gone, however slow the machine is.
        stay("t", flows(D, 200, 4, "S", "A")),
        {
          until: {
            "lb rl show flows max 10000": {
              test: (t) => !/port [34]0\d /.test(t) && t.match(/port 20\d /g)?.length === 4,
            },
          },
        },
        { until: { "lb rl show flows max 10000": /^$/ } },
        stay("u", flows(N, 500, 8, "S")),
        replies("u", "SA"),
        stay("u", flows(N, 500, 8, "A")),
        { cli: [`lb rl del-server vip n ${s4(1)}`] },
        { until: { "lb rl show servers vip n": /10\.0\.1\.2 port 0 leaving/ } },
        stay("u", flows(N, 500, 8, "FA")),
        replies("u", "FA"),
        { until: { "lb rl show servers vip n": { test: (t) => !/10\.0\.1\.2 /.test(t) } } },
      ],
    },
    {
      name: "time-outs that do not fit are refused",
      steps: [
        { cli: ["lb rl disable"] },
        {
          says: {
            "lb rl enable fin-timeout 4294968": /a time-out of 1\.\.4294967 s expected/,
            "lb rl enable half-open-timeout x": /expected: lb rl enable/,
            "lb rl enable": /^$/,
            "lb rl show config": /half-open 60 s, established 3600 s, fin 120 s, closing 60 s, udp 30 s, sticky 300 s/,
          },
        },
      ],
    },
  ],
};

const udp = (first, n) => range(n, (i) => ({ src: C4, dst: D, udp: true, sport: first + i, dport: 80, payload: "u" }));
const flush = {
  name: "flush",
  setup: [`lb rl set-vip d ${D} udp 80 l3dsr`, `lb rl set-servers vip d ${servers(2)}`],
  cases: [
    {
      name: "ends the flows of one server, or of the VIP; their next packets are placed anew",
      steps: [
        stay("f", udp(100, 20)),
        { cli: [`lb rl drain ${s4(1)}`] },
        stay("f", udp(100, 20)),
        { cli: [`lb rl flush ${s4(1)}`] },
        { until: { "lb rl show servers": /10\.0\.1\.2 port 0 draining: flows 0 / } },
        { says: { "lb rl show servers": /10\.0\.1\.3 port 0 up: flows 10 / } },
        { send: udp(100, 20), server: (o) => o.length === 20 && o.every((p) => p.dst === s4(2)) },
        { cli: [`lb rl drain ${s4(1)} off`, `lb rl drain ${s4(2)}`, "lb rl flush vip d"] },
        { until: { "lb rl show servers": /10\.0\.1\.3 port 0 draining: flows 0 / } },
        { send: udp(100, 20), server: (o) => o.length === 20 && o.every((p) => p.dst === s4(1)) },
        { cli: [`lb rl drain ${s4(2)} off`, `lb rl del-server ${s4(1)}`] },
        { until: { "lb rl show servers": /10\.0\.1\.2 port 0 leaving: flows 20 / } },
        { cli: [`lb rl flush ${s4(1)}`] },
        { until: { "lb rl show servers": { test: (t) => !/10\.0\.1\.2 /.test(t) } } },
        { send: udp(100, 20), server: (o) => o.length === 20 && o.every((p) => p.dst === s4(2)) },
      ],
    },
    {
      name: "what there is nothing of is said",
      steps: [
        {
          says: {
            "lb rl flush 10.0.1.77": /VIP d has no server 10\.0\.1\.77/,
            "lb rl flush vip nosuch": /no VIP of name nosuch/,
            "lb rl flush x": /expected: lb rl flush/,
          },
        },
      ],
    },
  ],
};

const quick = {
  name: "quick start",
  setup: ["lb rl disable"],
  cases: [
    {
      name: "its commands in their order: each says what it did or what is missing",
      steps: [
        {
          says: {
            "lb rl set-servers 192.168.1.10 192.168.1.11": /2 servers wait for `lb rl set-vip`/,
            "lb rl set-shm /dev/shm/lb-rl-quick-start": /^$/,
            "lb rl enable flows 1024": /^$/,
            "lb rl set-shm  /dev/shm/lb-rl-quick-start": /^$/,
            "lb rl set-shm /dev/shm/lb_rl_other": /the region is in use/,
            "lb rl start": /^$/,
            "lb rl show stats": /no VIP yet.*\s+2 servers wait for it/,
            "lb rl show weights": /no VIP yet/,
            "lb rl show servers": /no VIP yet/,
          },
        },
        { cli: ["lb rl set-vip v 10.9.0.1 udp 80 l3dsr"], says: { "lb rl show servers": /192\.168\.1\.10 port 0/ } },
        { says: { "lb rl show weights": /192\.168\.1\.11/ } },
        { cli: ["lb rl disable"] },
      ],
    },
  ],
};

export const groups = [closing, timed, flush, quick];
