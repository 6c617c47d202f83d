// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { emptyIntent, type Intent } from "../intent.js";
import * as operations from "../operations.js";

const stamp = { by: "ann", reason: "why", at: 7 };
const empty = emptyIntent("web");
const codeOf = (fn: () => unknown, t: { throws(fn: () => unknown): unknown }) => (t.throws(fn) as { code: string }).code;

test("a drain is there once, with who and why; the same again changes nothing", (t) => {
  const drain = operations.hold("drain", "a", null, stamp);
  const first = drain(empty);
  t.deepEqual(first.what, ["drain a"]);
  t.deepEqual(first.next.holds, [{ ...stamp, address: "a", kind: "drain", deadline: null, close: false }]);
  t.deepEqual(drain(first.next), { next: first.next, what: [] });
  const timed = operations.hold("drain", "a", { at: 0, close: false }, stamp)(first.next);
  t.deepEqual([timed.next.holds.length, timed.what], [1, ["drain a, by 1970-01-01T00:00:00.000Z"]]);
  t.deepEqual(operations.release("drain", "a")(timed.next), { next: { ...empty, holds: [] }, what: ["undrain a"] });
  t.deepEqual(operations.release("drain", "a")(empty).what, []);
});

test("a drain that is there keeps the reason and the deadline that a second one does not name", (t) => {
  const first = operations.hold("drain", "a", { at: 60_000, close: true }, { by: "ann", reason: "disk", at: 1 })(empty).next;
  t.deepEqual(first.holds[0]?.close, true);
  t.deepEqual(operations.hold("drain", "a", null, { by: "bob", reason: "", at: 2 })(first), { next: first, what: [] });
  const { next, what } = operations.hold("drain", "a", null, { by: "bob", reason: "disk again", at: 2 })(first);
  t.deepEqual(next.holds, [
    { address: "a", kind: "drain", deadline: 60_000, close: true, by: "bob", reason: "disk again", at: 2 },
  ]);
  t.deepEqual(what, ["drain a, by 1970-01-01T00:01:00.000Z, then closed"]);
  const later = operations.hold("drain", "a", { at: 90_000, close: false }, { by: "bob", reason: "", at: 3 })(next).next;
  t.like(later.holds[0], { deadline: 90_000, close: false, reason: "disk again" });
});

test("undrain does not end maintenance, and the end of maintenance no drain", (t) => {
  const drained = operations.hold("drain", "a", null, stamp)(empty).next;
  const both = operations.hold("maintenance", "a", null, stamp)(drained).next;
  const left = (kind: "drain" | "maintenance") =>
    operations
      .release(
        kind,
        "a",
      )(both)
      .next.holds.map((h) => h.kind);
  t.deepEqual([left("drain"), left("maintenance")], [["maintenance"], ["drain"]]);
});

test("how many servers are held is bounded", (t) => {
  const holds = Array.from({ length: 4096 }, (_, i) => ({
    ...stamp,
    deadline: null,
    close: false,
    address: `s${i}`,
    kind: "drain" as const,
  }));
  const now: Intent = { ...empty, holds };
  t.is(
    codeOf(() => operations.hold("drain", "one more", null, stamp)(now), t),
    "RESOURCE_EXHAUSTED",
  );
  t.notThrows(() => operations.hold("drain", "s1", { at: 5, close: false }, stamp)(now), "one that is there may change");
});

test("a list makes a pool managed, keeps its drains, and an empty one hands it back", (t) => {
  const present = [
    { address: "a", weight: 1 },
    { address: "b", weight: 1 },
  ];
  const drained = operations.hold("drain", "a", null, stamp)(empty).next;
  const wanted = [
    { address: "b", weight: 2, drain: true },
    { address: "a", weight: 1, drain: false },
    { address: "c", weight: 0, drain: false },
  ];
  const managed = operations.apply(wanted, 0, present, stamp)(drained);
  t.deepEqual(managed.what, ["local -> managed", "weight of b: 1 -> 2", "add c weight 0", "drain b"]);
  t.deepEqual(
    managed.next.holds.map((h) => h.address),
    ["a", "b"],
    "a drain ends by undrain only",
  );
  t.deepEqual(operations.apply([{ address: "b", weight: 2, drain: false }], 0, present, stamp)(managed.next).what, [
    "remove a",
    "remove c",
  ]);
  t.deepEqual(operations.apply(wanted, 0, present, stamp)(managed.next).what, [], "as it is");
  t.deepEqual(operations.apply([], 0, present, stamp)(managed.next).what, ["managed -> local"]);
  const now = { ...managed.next, version: 8 };
  t.is(
    codeOf(() => operations.apply(wanted, 7, present, stamp)(now), t),
    "FAILED_PRECONDITION",
  );
  t.notThrows(() => operations.apply(wanted, 8, present, stamp)(now));
});

test("the configuration's list is the first one only", (t) => {
  const first = operations.first([{ address: "a", weight: 1, drain: true }], stamp);
  t.deepEqual(first(empty).what, ["local -> managed", "add a weight 1", "drain a"]);
  t.deepEqual(first({ ...empty, version: 1 }).what, []);
});

test("an override stays until it is cleared; one that leaves nobody is refused", (t) => {
  const override = { entries: [{ address: "a", weight: 0 }], mode: "MODE_SED" };
  const set = operations.setOverride(override, ["a", "b"], stamp);
  const now = set(empty);
  t.deepEqual([now.next.override, now.what], [{ ...override, ...stamp }, ["override a=0, MODE_SED"]]);
  t.deepEqual(set(now.next).what, []);
  t.deepEqual(operations.clearOverride(now.next).next.override, null);
  t.deepEqual(operations.clearOverride(empty).what, []);
  t.is(
    codeOf(() => operations.setOverride(override, ["a"], stamp)(empty), t),
    "INVALID_ARGUMENT",
  );
});

test("a policy is an order like any other", (t) => {
  const now = operations.setPolicy("kalman", stamp)(empty);
  t.deepEqual([now.next.policy, now.what], [{ name: "kalman", ...stamp }, ["policy as configured -> kalman"]]);
  t.deepEqual(operations.setPolicy("kalman", stamp)(now.next).what, []);
  t.is(operations.setPolicy("", stamp)(now.next).next.policy, null);
});

test("versions that the store lost are gone beyond", (t) => {
  t.is(operations.raiseTo(9)(empty).next.version, 9);
  t.deepEqual(operations.raiseTo(9)({ ...empty, version: 9 }).what, []);
});
