// SPDX-License-Identifier: Apache-2.0
// What the tests of VPP's own lb ask (test/test_lb.py), of every way of forwarding.
import { range, s4, s6 } from "../lib/bed.mjs";
import { family } from "../lib/others.mjs";

/** As VPP's test sends them: flows of several ports, each packet twice; a flow has one server, all servers have flows. */
function lbCase(way, v6, port) {
  const { C, V: vip, s } = family(v6);
  const src = way.endsWith("6") ? "fd00:1::1" : "10.0.1.1";
  const outer6 = way.endsWith("6");
  const tunnel = /^(gre|ipip|gue)/.test(way);
  const servers = [1, 2, 3, 4, 5].map(tunnel ? (outer6 ? s6 : s4) : s);
  const flows = range(30, (i) => ({ src: C, dst: vip, udp: true, sport: 10000 + i, dport: port || 20000 + i, payload: `f${i}` }));
  const other = { src: C, dst: vip, udp: true, sport: 1, dport: port === 20000 ? 20001 : 0 };
  const inner = (p) => (tunnel ? p.inner : p);
  const right = (p, i) => {
    const x = inner(p);
    if (way.startsWith("gue")) return p.sums === "ok" && p.dport === 6080;
    return (
      p.sums === "ok" &&
      x.sums === "ok" &&
      x.sport === 10000 + i &&
      x.payload === `f${i}` &&
      (tunnel ? x.dst === vip : p.dst === x.dst)
    );
  };
  let where;
  return {
    name: `lb: ${way}, IPv${v6 ? 6 : 4}, ${port ? "one port" : "all ports"}: a flow has one server, all servers have some, nothing else changes`,
    cli: [
      `lb rl set-vip lb ${vip}${port ? ` udp ${port}` : ""} ${way}${tunnel ? ` src ${src}` : way === "l3dsr" ? " dscp 7" : ""}`,
      `lb rl set-servers vip lb ${servers.join(" ")}`,
    ],
    steps: [
      {
        send: flows,
        server: (list) => {
          where = list.map((p) => p.dst);
          return list.length === 30 && list.every(right) && new Set(way === "l2dsr" ? list.map((p) => p.dmac) : where).size === 5;
        },
      },
      { send: flows, server: (list) => list.length === 30 && list.every((p, i) => right(p, i) && p.dst === where[i]) },
      ...(port ? [{ send: [other], client: [{ icmp: v6 ? [1, 4] : [3, 3], quoted: { src: C, dst: vip, sport: 1 } }] }] : []),
      { cli: ["lb rl set-vip lb del"] },
    ],
  };
}
const ways = ["gre4", "gre6", "ipip4", "ipip6", "gue4", "gue6", "l3dsr", "l2dsr"];
const lb = {
  name: "others lb",
  setup: ["lb rl nat interface pg1"],
  cases: [false, true].flatMap((v6) => [
    ...ways.flatMap((w) => [lbCase(w, v6, 20000), lbCase(w, v6, 0)]),
    lbCase("nat", v6, 20000),
    lbCase("nat", v6, 0),
  ]),
};

export const groups = [lb];
