// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { leadsTo, loopOf, overlaps } from "../own.js";

for (const [what, a, b, expected] of [
  ["one address", "10.0.0.1:80", "10.0.0.1:80", true],
  ["another port", "10.0.0.1:80", "10.0.0.1:81", false],
  ["the wildcard covers every IPv4 address", "0.0.0.0:80", "127.0.0.1:80", true],
  ["IPv4 mapped into IPv6 is IPv4", "0.0.0.0:80", "[::ffff:127.0.0.1]:80", true],
  ["[::] is IPv6 only", "[::]:80", "127.0.0.1:80", false],
  ["[::] covers every IPv6 address", "[0:0::0]:80", "[2001:db8::1]:80", true],
  ["a name covers only itself", "localhost:80", "127.0.0.1:80", false],
  ["port 0 is a free one", "127.0.0.1:0", "127.0.0.1:0", false],
] as const) {
  test(`overlap: ${what}`, (t) => {
    t.is(overlaps(a, b), expected);
    t.is(overlaps(b, a), expected);
  });
}

for (const [what, server, vip, expected] of [
  ["the VIP itself", "127.0.0.1:80", "127.0.0.1:80", true],
  ["another spelling", "[::ffff:127.0.0.1]:80", "127.0.0.1:80", true],
  ["loopback behind a wildcard", "127.3.2.1:80", "0.0.0.0:80", true],
  ["IPv6 loopback behind a wildcard", "[::1]:80", "[::]:80", true],
  ["another machine's address", "10.0.0.2:80", "0.0.0.0:80", false],
  ["IPv4 never reaches an IPv6 wildcard", "127.0.0.1:80", "[::]:80", false],
  ["0.0.0.0 as a server is the loopback address", "0.0.0.0:80", "127.0.0.1:80", true],
] as const) {
  test(`a server that is a VIP: ${what}`, (t) => t.is(leadsTo(server, vip), expected));
}

test("loops are found over any number of VIPs; a chain is none", (t) => {
  const a = { name: "a", address: "127.0.0.1:1", protocol: "tcp", servers: ["127.0.0.1:2"] };
  const b = { name: "b", address: "127.0.0.1:2", protocol: "tcp", servers: ["127.0.0.1:3"] };
  const c = { name: "c", address: "0.0.0.0:3", protocol: "tcp", servers: [] };
  t.is(loopOf([a, b, c], a, "127.0.0.1:2"), null);
  t.is(loopOf([a, b, c], c, "127.0.0.1:9"), null);
  t.is(loopOf([a, b, c], a, "127.0.0.1:1"), "server 127.0.0.1:1 is the VIP itself");
  t.is(loopOf([a, b, c], c, "127.0.0.1:1"), "server 127.0.0.1:1 leads back to the VIP: VIP b has it behind it");
});
