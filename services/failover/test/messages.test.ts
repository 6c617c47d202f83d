// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { countsOf, refuseLoops } from "../messages.js";
import { agent } from "./agents.js";

const vips = [
  { name: "a", address: "127.0.0.1:1", protocol: "tcp", servers: ["127.0.0.1:2"] },
  { name: "b", address: "0.0.0.0:2", protocol: "tcp", servers: [] },
];
const member = (address: string) => ({ address, weight: 1, drain: false });

test("a pool cannot have a server that leads back to its VIP", (t) => {
  const e = t.throws(() => refuseLoops([member("10.0.0.1:2"), member("127.0.0.1:2")], "b", vips));
  t.regex(e.message, /pool\.servers\[1\]\.address: server 127\.0\.0\.1:2 is the VIP itself/);
  t.throws(() => refuseLoops([member("127.0.0.1:1")], "b", vips), { message: /leads back to the VIP: VIP a has it behind it/ });
});

test("another VIP of the data plane may be a server, and a VIP that is not known here has no loops", (t) => {
  t.notThrows(() => refuseLoops([member("127.0.0.1:2")], "a", vips));
  t.notThrows(() => refuseLoops([member("127.0.0.1:1")], "elsewhere", vips));
});

test("load balancers of a pool are told where the others take live counts", (t) => {
  const [a, b, again, silent] = [
    agent("a", [1], { counts: "10.0.0.1:7400" }),
    agent("b", [1], { counts: "10.0.0.2:7400" }),
    agent("b", [1], { vipId: 2, counts: "10.0.0.2:7400" }),
    agent("c", [1]),
  ];
  t.deepEqual(countsOf(a, [a, b, again, silent]), ["10.0.0.2:7400"]);
  t.deepEqual(countsOf(silent, [a, b, again, silent]), ["10.0.0.1:7400", "10.0.0.2:7400"]);
  t.deepEqual(countsOf(b, [b, again]), []);
});
