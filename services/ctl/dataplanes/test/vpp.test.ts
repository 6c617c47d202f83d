// SPDX-License-Identifier: Apache-2.0
// What `up --dataplane vpp` and `marllbctl vpp` ask of VPP; VPP itself runs in vpp-plugin/test.
import test from "ava";
import { marllbctl } from "../../../../testbed/ctl.js";
import { parseConfig } from "../../../common/config/load.js";
import { interfaceCommands, network, place } from "../vpp-network.js";
import { wantedOf } from "../vpp-wanted.js";

test("an instance's names and addresses are its own, the same each time, and fit interface names", (t) => {
  const [a, b] = [network("default"), network("other")];
  t.deepEqual(a, network("default"));
  const names = (n: typeof a): string[] => [n.client, n.clientVpp, n.server, n.serverVpp];
  t.is(new Set([...names(a), ...names(b)]).size, 8);
  t.true(names(a).every((x) => x.length <= 15));
  t.not(a.netns, b.netns);
  t.regex(a.net, /^10\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])$/);
  t.is(interfaceCommands(a).serverSide, `host-${a.serverVpp}`);
  // Whoever knew a VPP that died finds the next one where it was.
  const at = [...interfaceCommands(a).commands, ...interfaceCommands(b).commands].flatMap(
    (c) => /hw-addr (02:\S{14})$/.exec(c)?.[1] ?? [],
  );
  t.is(new Set(at).size, 4);
  t.deepEqual(interfaceCommands(a), interfaceCommands(network("default")));
});

test("where VPP is not, the program says where it looked and what to install", async (t) => {
  const args = ["up", "--dataplane", "vpp", "--plain", "--instance", `no-vpp-${process.pid}`];
  const said = await marllbctl(args, { VPP_PREFIX: "/nowhere" });
  t.is(said.code, 1);
  t.regex(said.errors, process.getuid?.() === 0 ? /no VPP in \/nowhere: install vpp and vpp-dev/ : /root/);
});

const n = network("default");
const own = (host: string): boolean => host === "127.0.0.1" || host === "127.0.0.2";

test("VIPs that packets reach are as written; this host's own addresses get others, each its own, and a person is told", (t) => {
  const { config, routes, notes } = place(
    parseConfig(`
vips:
  - {name: a, address: 127.0.0.1:8080}
  - {name: b, address: 127.0.0.2:8080}
  - {name: c, address: 127.0.0.1:8081}
  - {name: d, address: 198.51.100.1:80}
  - {name: e, address: "[2001:db8::1]:80"}
`),
    n,
    own,
  );
  t.deepEqual(
    config.vips.map((v) => v.address),
    [`${n.net}.0.1:8080`, `${n.net}.0.2:8080`, `${n.net}.0.1:8081`, "198.51.100.1:80", `${n.net}.0.3:80`],
  );
  t.deepEqual(routes, ["198.51.100.1"]);
  t.is(notes.length, 4);
  t.true(notes[1]?.startsWith(`VIP b is reached at ${n.net}.0.2:8080, not at 127.0.0.2:8080`));
  t.true(notes[3]?.includes("IPv4"));
});

test("servers have an address for each of theirs, ports kept, and are relayed to where they are written, once", (t) => {
  const p = place(
    parseConfig(`
vips:
  - {name: a, address: 127.0.0.1:8080, servers: [{address: 127.0.0.1:9001}, {address: 192.0.2.7:9001, weight: 2}]}
  - {name: b, address: 127.0.0.1:8081, servers: [{address: 127.0.0.1:9001}]}
  - {name: d, address: 127.0.0.1:8081, protocol: udp, servers: [{address: "[::1]:9001"}]}
`),
    n,
    own,
  );
  t.deepEqual(
    p.config.vips.map((v) => v.servers.map((s) => s.address)),
    [[`${n.net}.2.2:9001`, `${n.net}.2.3:9001`], [`${n.net}.2.2:9001`], [`${n.net}.2.4:9001`]],
  );
  t.is(p.config.vips[0]?.servers[1]?.weight, 2);
  t.deepEqual(p.servers, [`${n.net}.2.2`, `${n.net}.2.3`, `${n.net}.2.4`]);
  t.deepEqual(
    p.relayed.map((r) => `${r.protocol} ${r.at} ${r.to}`),
    [`tcp ${n.net}.2.2:9001 127.0.0.1:9001`, `tcp ${n.net}.2.3:9001 192.0.2.7:9001`, `udp ${n.net}.2.4:9001 [::1]:9001`],
  );
});

test("the launcher's own network has NAT only", (t) => {
  const config = parseConfig("vips: [{name: a, address: '10.0.0.1:80', forwarding: l3dsr dscp 7}]");
  t.throws(() => place(config, n, own), { message: /^VIP a: forwarding: .* has nat only, found l3dsr dscp 7; / });
});

test("every VIP, server, weight and drain of the configuration becomes a command, in an order that VPP takes", (t) => {
  const config = parseConfig(`
region: {path: /dev/shm/x}
dataplane: {idle_timeout_ms: 61500, lease_ms: 700, vpp: {flows: 2048, nat_interfaces: [eth1]}}
vips:
  - {name: web, address: 10.1.0.1:8080, mode: p2c, servers: [{address: 10.2.0.1:9001}, {address: 10.2.0.1:9002, weight: 2.5, drain: true}]}
  - {name: api, address: 10.1.0.1:8081, load: waiting, eject: false}
  - {name: six, address: "[2001:db8::1]:443", protocol: udp, forwarding: gre6 src 2001:db8::9 sticky, guard: false}
`);
  const wanted = wantedOf(config);
  t.deepEqual(wanted, {
    region: "/dev/shm/x",
    enable: [
      "lb rl set-shm /dev/shm/x",
      "lb rl enable flows 2048 established-timeout 62 udp-timeout 60 lease 700 max-vips 64 max-servers 4096",
    ],
    natInterfaces: ["eth1"],
    vips: [
      {
        name: "web",
        set: "lb rl set-vip web 10.1.0.1/32 tcp 8080 nat mode p2c load flows",
        servers: ["lb rl set-servers vip web 10.2.0.1:9001=1 10.2.0.1:9002=2.5", "lb rl drain vip web 10.2.0.1:9002"],
      },
      {
        name: "api",
        set: `lb rl set-vip api 10.1.0.1/32 tcp 8081 nat mode ${config.vips[1]?.mode} load waiting no-eject`,
        servers: [],
      },
      {
        name: "six",
        set: `lb rl set-vip six 2001:db8::1/128 udp 443 gre6 src 2001:db8::9 sticky mode ${config.vips[2]?.mode} load flows no-guard`,
        servers: [],
      },
    ],
  });
});
