// SPDX-License-Identifier: Apache-2.0
// Ejection and its probe: a server that does not answer gets no new flows, then one at a time until it answers.
import { C4, range, s4 } from "../lib/bed.mjs";

const V = "10.9.0.1";
const syn = (sport, more) => ({ src: C4, dst: V, tcp: "S", sport, dport: 80, ...more });
const kept = {};

export const groups = [
  {
    name: "ejection",
    setup: [
      `lb rl set-vip e ${V} tcp 80 nat`,
      `lb rl set-servers vip e ${range(4, (i) => s4(i + 1)).join(" ")}`,
      `lb rl set-vip s 10.9.0.2 tcp 80 nat sticky`,
      `lb rl set-servers vip s ${s4(6)} ${s4(7)}`,
      "lb rl nat interface pg1",
    ],
    cases: [
      {
        name: "a server that does not answer is put out; its time over, one flow probes it, also of clients that had it; the answer brings it in",
        steps: [
          {
            send: range(20, (i) => syn(40000 + i)),
            server: (o) => o.length === 20,
            check: (o) => (kept.eject = o.server),
          },
          {
            from: "server",
            send: () =>
              kept.eject
                .filter((p) => p.dst !== s4(4))
                .map((p) => ({ src: p.dst, dst: C4, tcp: "SA", sport: 80, dport: p.sport })),
            client: (o) => o.length === 15,
          },
          {
            send: range(4, (i) => syn(41000 + i, { dst: "10.9.0.2" })),
            server: (o) => o.length === 4 && new Set(o.map((p) => p.dst)).size === 1,
            check: (o) => (kept.silent = o.server[0].dst),
          },
          // Half-open flows wait three seconds for an answer.
          { until: { "lb rl show servers vip e": /10\.0\.1\.5 port 0 up,ejected/, "lb rl show servers vip s": /up,ejected/ } },
          { until: { "show logging": /VIP e: server 10\.0\.1\.5 does not answer as others do: it is ejected/ } },
          // Out for a second, then ready for its probe until a flow comes.
          {
            after: 2500,
            send: range(40, (i) => syn(42000 + i)),
            server: (o) => o.length === 40 && o.filter((p) => p.dst === s4(4)).length === 1,
            check: (o) => (kept.probe = o.server.find((p) => p.dst === s4(4)).sport),
          },
          { until: { "lb rl show servers vip e": /10\.0\.1\.5 port 0 up,probing/ } },
          {
            from: "server",
            send: () => [{ src: s4(4), dst: C4, tcp: "SA", sport: 80, dport: kept.probe }],
            client: [{ src: V, tcp: "SA" }],
          },
          { until: { "show logging": /VIP e: server 10\.0\.1\.5 takes new flows again/ } },
          {
            send: range(40, (i) => syn(44000 + i)),
            server: (o) => o.length === 40 && o.filter((p) => p.dst === s4(4)).length > 1,
          },
          {
            send: range(20, (i) => syn(43000 + i, { dst: "10.9.0.2" })),
            server: (o) => o.length === 20 && o.filter((p) => p.dst === kept.silent).length === 1,
          },
        ],
      },
    ],
  },
];
