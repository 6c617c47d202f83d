// SPDX-License-Identifier: Apache-2.0
// What is seen from outside: the binary API, counters in the stat segment, packet traces.
import { existsSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exec } from "../../../scripts/lib/exec.mjs";
import { Bed, C4, range, s4 } from "../lib/bed.mjs";
import { papi } from "../lib/papi.mjs";
import { match, ok, test } from "../lib/tap.mjs";

const V = "10.9.0.1";
const udp = (sport, more) => ({ src: C4, dst: V, udp: true, sport, dport: 53, payload: "u", ...more });
const syn = (sport) => ({ src: C4, dst: V, tcp: "S", sport, dport: 80 });
const server = (i, weight = 1) => ({ address: s4(i), port: 0, weight });
const ports = (...list) => {
  const all = list.map(([protocol, port]) => ({ protocol, port }));
  return { n_ports: all.length, ports: [...all, ...range(16 - all.length, () => ({ protocol: 0, port: 0 }))] };
};
const vipAdd = (name, prefix, more) => ({
  name,
  prefix,
  ...ports(),
  forwarding: "l3dsr",
  dscp: 0,
  tunnel_src: "0.0.0.0",
  outer_port: 0,
  mode: 0,
  load_waiting: false,
  sticky: false,
  no_eject: false,
  no_guard: false,
  max_servers: 0,
  table_id: 0,
  mss: 0,
  quic_id_bytes: 0,
  ...more,
});
/** Frames are ten a second; what show, dumps and counters say is at most one old. */
const frame = () => sleep(300);

/** Each step: calls, and what their replies must look like. The retval of a refusal is any but 0. */
const refused = { retval: (r) => r < 0 };
const done = { retval: 0 };
const api = [
  [
    "servers, mode, drain, weight: changed, refused, dumped",
    [
      ["lb_rl_set_servers", { vip: "a", count: 3, servers: [server(1), server(2, 2), server(3)] }, done],
      ["lb_rl_server_add_del", { is_add: true, vip: "a", server: server(4, 3) }, done],
      ["lb_rl_server_add_del", { is_add: true, vip: "a", server: server(1, 5) }, done],
      ["lb_rl_server_add_del", { is_add: false, vip: "a", server: server(3) }, done],
      ["lb_rl_drain", { drain: true, vip: "a", server: server(2) }, done],
      ["lb_rl_set_mode", { vip: "a", mode: 4 }, done],
      ["lb_rl_server_add_del", { is_add: false, vip: "a", server: server(7) }, refused],
      ["lb_rl_server_add_del", { is_add: true, vip: "a", server: server(5, -1) }, refused],
      ["lb_rl_server_add_del", { is_add: true, vip: "nobody", server: server(5) }, refused],
      ["lb_rl_drain", { drain: true, vip: "a", server: server(7) }, refused],
      ["lb_rl_set_mode", { vip: "a", mode: 0 }, refused],
      [
        "lb_rl_server_add_del",
        { is_add: true, vip: "a", server: { ...server(5), address: { af: 77, un: { ip4: s4(5) } } } },
        refused,
      ],
      ["lb_rl_set_servers", { vip: "a", count: 0, servers: [] }, refused],
    ],
  ],
  [
    "dumps say what was set, with counts of traffic",
    [
      [
        "lb_rl_vip_dump",
        {},
        [
          {
            name: "a",
            vip_id: 1,
            prefix: `${V}/32`,
            n_ports: 3,
            forwarding: "l3dsr",
            dscp: 5,
            mode: "LB_RL_API_MODE_P2C",
            servers: 3,
            ports: (p) =>
              p
                .slice(0, 3)
                .map((x) => `${x.protocol}:${x.port}`)
                .join() === "6:80,6:443,17:53",
          },
          { name: "n", vip_id: 2, prefix: "10.9.0.2/32", n_ports: 0, forwarding: "nat", sticky: true, servers: 0 },
          { name: "t", vip_id: 3, prefix: "fd00:9::/64", forwarding: "gre4", outer_port: 0, servers: 0 },
          { name: "u", vip_id: 4, prefix: "10.9.0.4/32", forwarding: "gue4", outer_port: 6081, servers: 0 },
        ],
      ],
      [
        "lb_rl_server_dump",
        { vip: "a" },
        (l) =>
          l.map((s) => `${s.address}=${s.weight_static}`).join() === `${s4(1)}=5,${s4(2)}=2,${s4(4)}=3` &&
          l.reduce((n, s) => n + s.packets_in, 0) === 40 &&
          l.reduce((n, s) => n + s.new_flows, 0) === 40 &&
          l[1].flows === 0 &&
          l[1].packets_in === 0 &&
          l[0].bytes_in === l[0].packets_in * 29,
      ],
      ["lb_rl_server_dump", { vip: "n" }, []],
      ["lb_rl_server_dump", { vip: "" }, (l) => l.length === 3],
    ],
  ],
  [
    "stop, start, NAT interface, removal, disable, another region",
    [
      ["lb_rl_nat_interface", { is_add: true, sw_if_index: 2 }, done],
      ["lb_rl_nat_interface", { is_add: true, sw_if_index: 2 }, refused],
      ["lb_rl_nat_interface", { is_add: true, sw_if_index: 99 }, refused],
      ["lb_rl_nat_interface", { is_add: false, sw_if_index: 2 }, done],
      ["lb_rl_start_stop", { start: false }, done],
      ["lb_rl_start_stop", { start: true }, done],
      ["lb_rl_vip_del", { name: "n" }, done],
      ["lb_rl_vip_del", { name: "n" }, refused],
      ["lb_rl_set_shm", { path: "/dev/shm/other" }, refused],
      ["lb_rl_enable_disable", { enable: true }, refused],
      ["lb_rl_enable_disable", { enable: false }, done],
      ["lb_rl_enable_disable", { enable: false }, refused],
      ["lb_rl_vip_set", vipAdd("x", `${V}/32`), refused],
      ["lb_rl_vip_dump", {}, []],
      ["lb_rl_server_dump", { vip: "" }, []],
      ["lb_rl_set_shm", { path: "relative" }, refused],
      ["lb_rl_enable_disable", { enable: true, flows: 12 }, refused],
      ["lb_rl_enable_disable", { enable: true, flows: 2048, half_open: 2048, udp_timeout_s: 7, lease_ms: 500 }, done],
    ],
  ],
];

function expectReplies(calls, replies) {
  for (const [i, [name, args, want]] of calls.entries()) match(replies[i], want, `${name} ${JSON.stringify(args)}`);
}

async function apiCases(bed, client) {
  const call = (calls) =>
    expectReplies(
      calls,
      client.call(
        `${bed.v.dir}/api.sock`,
        calls.map((c) => c.slice(0, 2)),
      ),
    );
  await test("api: VIPs of every kind are added, wrong ones refused", async () => {
    if (client.missing) return client.missing;
    call([
      ["lb_rl_vip_set", vipAdd("a", `${V}/32`, { ...ports([6, 80], [6, 443], [17, 53]), dscp: 5 }), done],
      ["lb_rl_vip_set", vipAdd("n", "10.9.0.2/32", { forwarding: "nat", sticky: true, load_waiting: true, mode: 2 }), done],
      ["lb_rl_vip_set", vipAdd("t", "fd00:9::/64", { forwarding: "gre4", tunnel_src: "10.0.1.1", max_servers: 16 }), done],
      ["lb_rl_vip_set", vipAdd("u", "10.9.0.4/32", { forwarding: "gue4", tunnel_src: "10.0.1.1", outer_port: 6081 }), done],
      ["lb_rl_vip_set", vipAdd("b", "10.9.0.3/32", { forwarding: "gre" }), refused],
      ["lb_rl_vip_set", vipAdd("b", "10.9.0.3/32", { forwarding: "nat", outer_port: 6081 }), refused],
      ["lb_rl_vip_set", vipAdd("a", "10.9.0.3/32"), refused],
      ["lb_rl_vip_set", vipAdd("b", `${V}/32`, ports([6, 443])), refused],
      ["lb_rl_vip_set", vipAdd("b", { address: { af: 77, un: { ip4: "10.9.0.3" } }, len: 32 }), { retval: -97 }],
      ...["", "b c", "%s%n", "x/y"].map((name) => ["lb_rl_vip_set", vipAdd(name, "10.9.0.3/32"), refused]),
      ["lb_rl_vip_set", vipAdd("b", "10.9.0.3/32", { forwarding: "gre4", tunnel_src: "0.0.0.0" }), refused],
      ["lb_rl_vip_set", vipAdd("b", "10.9.0.3/32", ports([6, 0])), refused],
      ["lb_rl_vip_set", vipAdd("b", "10.9.0.3/32", ports([1, 5])), refused],
      ["lb_rl_vip_set", vipAdd("b", "10.9.0.3/32", { n_ports: 17 }), refused],
      ["lb_rl_vip_set", vipAdd("b", "10.9.0.3/32", { dscp: 64 }), refused],
      ["lb_rl_vip_set", vipAdd("b", "10.9.0.3/32", { max_servers: 5000 }), refused],
      ["lb_rl_vip_set", vipAdd("b", "10.9.0.3/32", { load_waiting: true }), refused],
      ["lb_rl_vip_set", vipAdd("b", "10.9.0.3/32", { table_id: 99 }), refused],
      ["lb_rl_vip_set", vipAdd("u", "10.9.0.4/32", { forwarding: "gre4", tunnel_src: "10.0.1.2" }), done],
      ["lb_rl_vip_set", vipAdd("u", "10.9.0.4/32", { forwarding: "gue4", tunnel_src: "10.0.1.1", outer_port: 6081 }), done],
    ]);
  });
  for (const [what, calls] of api)
    await test(`api: ${what}`, async () => {
      if (client.missing) return client.missing;
      if (what.startsWith("dumps")) {
        await bed.exchange(
          "client",
          range(40, (i) => udp(1000 + i)),
        );
        await frame();
      }
      call(calls);
      ok(bed.v.alive, "vpp ended");
    });
}

async function statCases(bed, options) {
  const tool = path.join(options.prefix, "bin/vpp_get_stats");
  /** Names by index, of what has some. */
  const names = async (of) => {
    const { out } = await exec(tool, ["socket-name", `${bed.v.dir}/stats.sock`, "dump", `/lb-rl/${of}`], { timeoutMs: 20_000 });
    return Object.fromEntries([...out.matchAll(/^\[(\d+)\]: (\S+) \/lb-rl\/\S*names$/gm)].map((m) => [m[1], m[2]]));
  };
  /** { "1/vip/flows": [values by slot] } */
  const stats = async () => {
    const { code, out } = await exec(tool, ["socket-name", `${bed.v.dir}/stats.sock`, "dump", "/lb-rl/"], { timeoutMs: 20_000 });
    ok(code === 0, `vpp_get_stats: ${out}`);
    const by = {};
    for (const m of out.matchAll(/^\[(\d+) @ \d+\]: (\d+) packets.*\/lb-rl\/(\S+)$/gm))
      (by[m[3]] ??= [])[Number(m[1])] = Number(m[2]);
    return by;
  };
  await test("stat segment: counters of each VIP and server are those of the traffic", async () => {
    if (!existsSync(tool)) return "no vpp_get_stats under VPP's prefix";
    await bed.v.config([`lb rl set-vip v ${V} l3dsr`, `lb rl set-servers ${s4(1)} ${s4(2)} ${s4(3)}`]);
    await bed.exchange(
      "client",
      range(30, (i) => udp(2000 + i)),
      {},
    );
    await bed.exchange(
      "client",
      range(30, (i) => udp(2000 + i)),
      {},
    );
    await frame();
    const s = await stats();
    match(s, { "1/vip/flows": [30], "1/vip/new_flows": [30], "1/vip/packets_in": [60], "1/vip/bytes_in": [60 * 29] }, "counters");
    const servers = s["1/server/packets_in"].slice(0, 3);
    ok(servers.reduce((a, b) => a + b) === 60 && servers.every((n) => n > 0), `servers: ${servers}`);
    ok(s["1/server/flows"].slice(0, 3).join() === "10,10,10", `flows: ${s["1/server/flows"]}`);
    match(await names("names"), { 1: "v" }, "names of VIPs");
    match(await names("1/server/names"), { 0: s4(1), 1: s4(2), 2: s4(3) }, "names of servers");
  });
  await test("stat segment: a VIP made after another of its number starts at nought", async () => {
    if (!existsSync(tool)) return "no vpp_get_stats under VPP's prefix";
    await bed.v.config(["lb rl set-vip v del"]);
    await frame();
    await bed.v.config([`lb rl set-vip w 10.9.0.7 l3dsr max-servers 8`, `lb rl set-servers vip w ${s4(5)}`]);
    await bed.exchange("client", [udp(1, { dst: "10.9.0.7" })]);
    await frame();
    const id = /VIP \[(\d+)\] w /.exec(await bed.v.cli("lb rl show config"))?.[1];
    match(await stats(), { [`${id}/vip/packets_in`]: [1], [`${id}/server/new_flows`]: (x) => x[0] === 1 && !x[1] }, "counters");
  });
}

async function traceCases(bed) {
  await test("packet trace: what became of a client's packet, a reply, a refused and a malformed one", async () => {
    await bed.v.config([
      `lb rl set-vip x 10.9.0.8 tcp 80 nat`,
      `lb rl set-servers vip x ${s4(6)}:8080`,
      "lb rl nat interface pg1",
    ]);
    await bed.v.cli("clear trace");
    await bed.v.cli("trace add pg-input 20");
    const to = { dst: "10.9.0.8" };
    await bed.exchange("client", [
      { ...syn(1), ...to },
      { ...syn(2), ...to, dport: 81 },
      { ...syn(3), ...to, totalLength: 30 },
    ]);
    await bed.exchange("server", [{ src: s4(6), dst: C4, tcp: "SA", sport: 8080, dport: 1 }]);
    const out = await bed.v.cli("show trace");
    for (const want of [
      /lb-rl client: new flows\s+VIP x, server 10\.0\.1\.7 slot 0, next \d+|lb-rl client: packets forwarded to a server\s+VIP x, server 10\.0\.1\.7 slot 0, next \d+/,
      /lb-rl client: no VIP on this port, answered/,
      /lb-rl server: packets returned to a client \(NAT\)\s+VIP x, server 10\.0\.1\.7 slot 0/,
    ])
      ok(want.test(out), `no ${want} in\n${out}`);
  });
}

export const groups = [
  {
    name: "outside",
    count: 7,
    async run(options) {
      const bed = await Bed.start(options);
      try {
        await apiCases(bed, papi(options.prefix, options.pluginDir));
        await statCases(bed, options);
        await traceCases(bed);
      } finally {
        await bed.stop();
      }
    },
  },
];
