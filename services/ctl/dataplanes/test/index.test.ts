// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { parseConfig } from "../../../common/config/load.js";
import type { DataplaneKind } from "../dataplane.js";
import { dpLines } from "../embedded.js";
import { DATAPLANES, dataplaneHelp, findDataplane, suits } from "../index.js";

const outside: DataplaneKind = {
  kind: "outside",
  help: "another load balancer, by its run-time API",
  modes: ["alias"],
  proxyHeaders: false,
  limits: false,
  overlooks: ["responses", "forwarding"],
  listens: false,
  settings: ["lease_ms"],
  needsRoot: null,
  setMode: { byHand: (vip, mode) => `tell ${vip} ${mode}` },
  create: () => ({ prepare: async () => {}, processes: () => [], cleanUp: async () => {} }),
};
const config = (text: string) => parseConfig(text);

test("a kind is found by its name, and a wrong name is told what there is", (t) => {
  for (const d of DATAPLANES) t.is(findDataplane(d.kind), d);
  t.is(findDataplane("outside", [...DATAPLANES, outside]), outside);
  t.throws(() => findDataplane("embeded"), { message: "dataplane.kind: expected one of embedded, vpp, found embeded" });
  for (const d of DATAPLANES) t.true(dataplaneHelp().includes(`${d.kind}: ${d.help}`));
});

test("a mode that the data plane has not is refused with those that it has", (t) => {
  const c = config("vips: [{ name: web, address: '127.0.0.1:80', mode: sed }]");
  t.throws(() => suits(c, outside), { message: "VIP web: data plane outside has no mode sed; expected one of alias" });
  t.deepEqual(suits(c, findDataplane("embedded")), []);
});

test("a setting that the data plane overlooks is told", (t) => {
  const c = config("dataplane: { kind: outside, retries: 5, lease_ms: 3000, sources: ['127.0.0.2'] }");
  t.deepEqual(suits(c, outside), [
    "dataplane.retries has no effect with data plane outside",
    "dataplane.sources has no effect with data plane outside",
  ]);
  t.deepEqual(suits(config(""), outside), []);
});

test("a VIP's setting that the data plane overlooks is told, and a limit that it would not keep is refused", (t) => {
  const asking = (rest: string) => config(`vips: [{name: a, address: "10.0.0.1:53", protocol: udp, mode: alias, ${rest}}]`);
  t.deepEqual(suits(asking("responses: 1, forwarding: l3dsr"), outside), [
    "VIP a: responses has no effect with data plane outside",
    "VIP a: forwarding has no effect with data plane outside",
  ]);
  t.deepEqual(suits(asking("forwarding: nat"), outside), []);
  t.deepEqual(suits(asking("responses: 1"), findDataplane("vpp")), ["VIP a: responses has no effect with data plane vpp"]);
  const limits = [
    "max_connections: 9",
    "max_connections_per_source: 9",
    'servers: [{address: "10.0.0.2:80", max_connections: 9}]',
  ];
  for (const limit of limits)
    t.throws(() => suits(asking(limit), findDataplane("vpp")), { message: /VIP a: data plane vpp has no limits of conn/ }, limit);
  t.deepEqual(suits(asking("max_connections: 9"), findDataplane("embedded")), []);
});

test("PROXY headers are refused where a data plane has none", (t) => {
  const asking = (rest: string) => config(`vips: [{name: a, address: "10.0.0.1:80", mode: alias, ${rest}}]`);
  for (const asked of ["send_proxy: v2", "accept_proxy: [10.0.0.0/8]", 'servers: [{address: "10.0.0.2:80", send_proxy: v1}]'])
    t.throws(() => suits(asking(asked), outside), { message: /VIP a: data plane .* has no PROXY headers/ }, asked);
  t.notThrows(() => suits(asking('send_proxy: "off"'), outside));
});

test("the embedded data plane's lines say its time-outs, and which VIPs are UDP", (t) => {
  const lines = dpLines(
    config(`
dataplane: { udp_timeout_ms: 5000, udp_coalesce_us: 50, udp_receive_buffer: 64, proxy_header_timeout_ms: 700 }
vips:
  - { name: dns, address: "127.0.0.1:53", protocol: udp, responses: 1 }
  - { name: web, address: "127.0.0.1:53" }
`),
  );
  t.true(lines.includes("udp-timeout 5000ms"));
  t.true(lines.includes("udp-coalesce 50"));
  t.true(lines.includes("udp-receive-buffer 64"));
  t.true(lines.includes("log-time unix"));
  t.true(lines.includes("proxy-header-timeout 700ms"));
  t.regex(lines.find((l) => l.startsWith("vip dns ")) ?? "", /^vip dns 127\.0\.0\.1:53 .* protocol udp responses 1$/);
  t.notRegex(lines.find((l) => l.startsWith("vip web ")) ?? "", /udp/);
});
