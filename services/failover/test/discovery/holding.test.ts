// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { FakeTimers } from "../../../../testbed/fake-timers.js";
import { distinct } from "../../discovery/found.js";
import { Holding } from "../../discovery/holding.js";

const server = (i: number, over = {}) => ({ address: `10.0.0.${i}:80`, weight: 1, priority: 0, ...over });

function setup(holdMs: number) {
  const timers = new FakeTimers();
  const said: string[] = [];
  const holding = new Holding({
    timers,
    holdMs,
    changed: (list, fresh) =>
      said.push(
        `${fresh ? "" : "late "}${distinct(list)
          .map((s) => s.address.split(/[.:]/)[3])
          .join(" ")}`,
      ),
  });
  return { timers, said, take: (...ids: number[]) => holding.take(ids.map((i) => server(i))) };
}

test("a name server that answers with a part of the servers at a time means all of them", (t) => {
  const { timers, said, take } = setup(10_000);
  for (const part of [
    [1, 2],
    [3, 4],
    [1, 4],
    [2, 3],
  ]) {
    take(...part);
    timers.advance(3000);
  }
  t.deepEqual(said, ["1 2", "1 2 3 4", "1 2 3 4", "1 2 3 4"]);
});

test("a server that the answers lack for long enough is gone, between two answers too", (t) => {
  const { timers, said, take } = setup(10_000);
  take(1, 2);
  timers.advance(30_000);
  take(1);
  t.deepEqual(said, ["1 2", "1 2"], "its time begins with the first answer without it");
  timers.advance(9999);
  t.is(said.length, 2);
  timers.advance(1);
  t.is(said.at(-1), "late 1");
  timers.advance(60_000);
  t.is(said.length, 3);
});

test("one that comes back meanwhile begins anew", (t) => {
  const { timers, said, take } = setup(10_000);
  take(1, 2);
  take(1);
  timers.advance(9000);
  take(1, 2);
  take(1);
  timers.advance(9000);
  t.is(said.at(-1), "1 2");
});

test("without a hold the last answer is the list", (t) => {
  const { said, take } = setup(0);
  take(1, 2);
  take(2, 3);
  t.deepEqual(said, ["1 2", "2 3"]);
});

test("an address that stands twice is one server, in an order that everybody finds", (t) => {
  const list = [server(2, { weight: 3, priority: 5 }), server(1), server(2, { weight: 2, priority: 1 })];
  t.deepEqual(distinct(list), [server(1), server(2, { weight: 5, priority: 1 })]);
  t.deepEqual(distinct([server(1, { address: "[::FFFF:10.0.0.1]:80" }), server(1)]), [server(1, { weight: 2 })]);
});
