// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { parseConfig } from "../../config/load.js";
import { type Plan, placeOf, planOf } from "../plan.js";

const VIP = 'name: web, address: "127.0.0.1:8080"';

/** The plan of the first server of the first VIP. */
function of(health: string, vip: string, server: string, sends: "off" | "v2" = "off", protocol = "tcp"): Plan {
  const c = parseConfig(
    `health: {${health}}\nvips: [{ ${VIP}, protocol: ${protocol}, health: {${vip}}, servers: [{ address: "10.0.0.1:80", health: {${server}} }] }]`,
  );
  const [v] = c.vips as [(typeof c.vips)[number]];
  return planOf(c.health, v.protocol, [v.health, v.servers[0]?.health], placeOf("10.0.0.1:80"), sends);
}
const kinds = (p: Plan): string => p.checks.map((c) => `${c.kind} ${c.address}`).join(", ");

test("a server is checked as it says, else as its VIP says, else as all are", (t) => {
  t.is(kinds(of("", "", "")), "tcp 10.0.0.1:80");
  t.is(kinds(of("kind: http", "", "")), "http 10.0.0.1:80");
  t.is(kinds(of("kind: http", "kind: grpc", "")), "grpc 10.0.0.1:80");
  t.is(kinds(of("kind: http", "kind: grpc", "kind: none")), "");
  const [check] = of("kind: http, path: /a, rise: 5", "path: /b, interval_ms: 2000", "port: 81, fall: 7").checks;
  t.like(check, { kind: "http", address: "10.0.0.1:81", rise: 5, fall: 7, intervalMs: 2000, timeoutMs: 500 });
  t.is(check?.options.path, "/b");
});

test("several checks share what is said beside them; a level that names a kind means that one instead", (t) => {
  const several = "path: /up, combine: any, checks: [{ kind: tcp }, { kind: http, port: 81 }, { kind: http, path: /x }]";
  const p = of(several, "rise: 4", "");
  t.is(kinds(p), "tcp 10.0.0.1:80, http 10.0.0.1:81, http 10.0.0.1:80");
  t.true(p.any);
  t.deepEqual(
    p.checks.map((c) => [c.options.path, c.rise]),
    [
      [undefined, 4],
      ["/up", 4],
      ["/x", 4],
    ],
  );
  t.is(kinds(of(several, "kind: dns", "")), "dns 10.0.0.1:80");
  t.is(kinds(of(several, "checks: [{ kind: ping }]", "")), "ping 10.0.0.1:80");
});

test("servers of UDP VIPs begin at udp_kind", (t) => {
  t.is(kinds(of("kind: http, checks: [{ kind: tcp }]", "", "", "off", "udp")), "");
  t.is(kinds(of("udp_kind: dns", "", "", "off", "udp")), "dns 10.0.0.1:80");
  t.is(kinds(of("udp_kind: dns", "kind: udp", "", "off", "udp")), "udp 10.0.0.1:80");
});

test("the PROXY header is the data plane's where the check does not say", (t) => {
  t.is(of("", "", "", "v2").checks[0]?.options.send_proxy, "v2");
  t.is(of("send_proxy: v1", "", "", "v2").checks[0]?.options.send_proxy, "v1");
  t.is(of("", "", 'send_proxy: "off"', "v2").checks[0]?.options.send_proxy, "off");
});

test("checks are the same when what their kinds read is the same", (t) => {
  const key = (health: string): string | undefined => of(health, "", "").checks[0]?.key;
  t.is(key("path: /a"), key("path: /b"), "tcp reads no path");
  t.not(key("kind: http, path: /a"), key("kind: http, path: /b"));
  t.not(key("interval_ms: 2000"), key(""));
  t.is(of("", "initial: up", "").key === of("", "", "").key, false);
});

test("what is wrong with a plan is said at its level", (t) => {
  t.throws(() => of("", "interval_ms: 100", ""), {
    message: /vips\[0\]\.health\.timeout_ms: expected at most interval_ms \(100\)/,
  });
  t.throws(() => of("", "", "timeout_ms: 2000"), { message: /vips\[0\]\.servers\[0\]\.health\.timeout_ms/ });
  t.throws(() => of("", "checks: [{ kind: htp }]", ""), { message: /vips\[0\]\.health\.checks\[0\]\.kind/ });
  t.throws(() => of("", "pth: /", ""), { message: /vips\[0\]\.health\.pth: unknown key; did you mean path/ });
  t.throws(() => of("", "udp_kind: tcp", ""), { message: /unknown key/ });
});
