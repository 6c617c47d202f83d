// SPDX-License-Identifier: Apache-2.0
// The set-up that `up --dataplane vpp` gives VPP; VPP itself runs in vpp-plugin/test and the launcher's own test.
import test from "ava";
import { parseConfig } from "../../../common/config/load.js";
import { network, serverAddress, vipAddress, vppCommands } from "../vpp.js";

test("an instance's names and addresses are its own, the same each time, and fit interface names", (t) => {
  const [a, b] = [network("default"), network("other")];
  t.deepEqual(a, network("default"));
  const names = (n: typeof a): string[] => [n.client, n.clientVpp, n.server, n.serverVpp];
  t.is(new Set([...names(a), ...names(b)]).size, 8);
  t.true(names(a).every((x) => x.length <= 15));
  t.not(a.netns, b.netns);
  t.regex(a.net, /^10\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])$/);
});

test("loopback addresses of the configuration are mapped into the instance's network, ports kept", (t) => {
  const n = network("default");
  t.is(vipAddress(n, "127.0.0.1:8080"), `${n.net}.0.1:8080`);
  t.is(serverAddress(n, "127.0.0.1:9001"), `${n.net}.2.2:9001`);
});

test("every VIP, server, weight and drain of the configuration becomes a command, in an order that VPP takes", (t) => {
  const n = network("default");
  const config = parseConfig(`
region: {path: /dev/shm/x}
dataplane: {idle_timeout_ms: 61500, lease_ms: 700}
vips:
  - {name: web, address: 127.0.0.1:8080, mode: p2c, servers: [{address: 127.0.0.1:9001}, {address: 127.0.0.1:9002, weight: 2.5, drain: true}]}
  - {name: api, address: 127.0.0.1:8081, load: waiting, eject: false}
`);
  const lines = vppCommands(config, n);
  t.true(lines.includes("lb rl set-shm /dev/shm/x"));
  t.true(lines.includes("lb rl enable flows 65536 established-timeout 62 udp-timeout 60 lease 700"));
  t.deepEqual(
    lines.filter((l) => /set-vip|set-servers|drain/.test(l)),
    [
      `lb rl set-vip web ${n.net}.0.1/32 tcp 8080 nat mode p2c load flows`,
      `lb rl set-servers vip web ${n.net}.2.2:9001=1 ${n.net}.2.2:9002=2.5`,
      `lb rl drain vip web ${n.net}.2.2:9002`,
      `lb rl set-vip api ${n.net}.0.1/32 tcp 8081 nat mode ${config.vips[1]?.mode} load waiting no-eject`,
    ],
  );
  const at = (start: string): number => lines.findIndex((l) => l.startsWith(start));
  t.true(at("create host-interface") < at("lb rl set-shm") && at("lb rl set-shm") < at("lb rl enable"));
  t.true(at("lb rl enable") < at("lb rl nat interface") && at("lb rl enable") < at("lb rl set-vip"));
});
