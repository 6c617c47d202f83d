// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { fakeFrame } from "../../../testbed/fake-frame.js";
import { seenIn, serversOf, shownShare } from "../seen.js";

test("flows of all load balancers are summed; one that drains or has ejected a server is enough to say so", (t) => {
  const seen = seenIn([
    fakeFrame([
      { id: 1, address: "10.0.0.1:80", flows: 2 },
      { id: 2, address: "[0:0::1]:80", flows: 1, flags: 3 },
    ]),
    fakeFrame([
      { id: 7, address: "10.0.0.1:80", flows: 3, flags: 5 },
      { id: 8, address: "[::1]:80", flows: 4 },
    ]),
  ]);
  t.deepEqual(seen.get("10.0.0.1:80"), { flows: 5, draining: false, ejected: true });
  t.deepEqual(seen.get("[::1]:80"), { flows: 5, draining: true, ejected: false });
});

test("a server that left and came back while its old flows run is one server: the member's state, the flows of both", (t) => {
  const view = fakeFrame([
    { id: 1, address: "10.0.0.1:80", flows: 2, flags: 1 | 2 | 16 },
    { id: 7, address: "10.0.0.1:80", flows: 3 },
  ]);
  t.deepEqual(serversOf(view), [{ id: 7, address: "10.0.0.1:80", weight: 1 }]);
  t.deepEqual(seenIn([view]).get("10.0.0.1:80"), { flows: 5, draining: false, ejected: false });
});

const quiet = { flows: 0, draining: false, ejected: false };
for (const [what, ours, seen, want] of [
  ["nothing is the matter", undefined, quiet, { factor: 1, reason: "" }],
  ["no frame has it yet", undefined, undefined, { factor: 1, reason: "" }],
  ["we drain it", { factor: 0, reason: "draining" }, { ...quiet, draining: true }, { factor: 0, reason: "draining" }],
  [
    "its own list drains it",
    undefined,
    { ...quiet, draining: true },
    { factor: 0, reason: "draining by the data plane's own list" },
  ],
  ["ejected", undefined, { ...quiet, ejected: true }, { factor: 1, reason: "ejected by the data plane" }],
  ["slow start", { factor: 0.3, reason: "slow start" }, { ...quiet, ejected: true }, { factor: 0.3, reason: "slow start" }],
] as const) {
  test(`why a member gets what it gets: ${what}`, (t) => t.deepEqual(shownShare(ours, seen), want));
}
