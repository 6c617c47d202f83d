// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { canonicalAddress, formatHostPort, isIpPort, parseHostPort } from "../address.js";
import { nearest } from "../nearest.js";

test("addresses: what is one and what is not", (t) => {
  t.deepEqual(parseHostPort("10.0.0.1:80"), { host: "10.0.0.1", port: 80 });
  t.deepEqual(parseHostPort("[::1]:80"), { host: "::1", port: 80 });
  t.deepEqual(parseHostPort("inference:0"), { host: "inference", port: 0 });
  for (const bad of ["", "80", "10.0.0.1", "10.0.0.256:1", "::1:80", "[x]:1", "a:65536", "a b:1", "[::1]", "[fe80::1%eth0]:80"])
    t.is(parseHostPort(bad), null, bad);
  t.true(isIpPort("[::1]:1"));
  t.false(isIpPort("name:1"));
  t.is(formatHostPort("::1", 5), "[::1]:5");
});

test("one address has one canonical text", (t) => {
  t.is(canonicalAddress("[2001:DB8:0:0::1]:80"), "[2001:db8::1]:80");
  t.is(canonicalAddress("[::ffff:10.0.0.1]:80"), "10.0.0.1:80");
  t.is(canonicalAddress("10.0.0.1:80"), "10.0.0.1:80");
});

test("the nearest word is found within reason", (t) => {
  t.is(nearest("interval", ["interval_ms", "timeout_ms"]), "interval_ms");
  t.is(nearest("sde", ["hash", "alias", "sed", "p2c"]), "sed");
  t.is(nearest("foo", ["log", "tls"]), null);
  t.is(nearest("lgo", ["log", "tls"]), "log");
  t.is(nearest("completely", ["x", "yz"]), null);
});
