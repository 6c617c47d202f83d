// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { jain } from "../../common/native/figures.js";
import { History, serverState, statistics } from "../stats.js";
import { Vip } from "../vip.js";
import { decodeFake, rawFrame, SETTINGS } from "./fake-region.js";

test("Jain's index: even load is 1, all on one of n is 1/n, idle is 1", (t) => {
  t.is(jain([2, 2]), 1);
  t.is(jain([5, 0, 0, 0]), 0.25);
  t.is(jain([0, 0]), 1);
});

test("the state that people see", (t) => {
  t.is(serverState(1, 1), "up");
  t.is(serverState(1, 0), "masked");
  t.is(serverState(3, 1), "draining");
  t.is(serverState(5, 1), "ejected");
  t.is(serverState(17, 1), "leaving");
});

test("failed connects and early ends of the frame are told, each by its name", (t) => {
  const counts = { refusals: 1, unanswered: 2, unmade: 3, ejections: 4, resets: 5 };
  const early = { late_resets: 6, empty_ends: 7, quick_ends: 8, quick_answers: 9 };
  const vip = new Vip(rawFrame(1, [{ id: 1, address: "10.0.0.1:80", ...counts, ...early }]), decodeFake, SETTINGS, 2);
  t.like(statistics(vip, {}, null).servers?.[0], { ...counts, ...early });
});

test("history keeps one frame a second, ten seconds back, of one VIP", (t) => {
  const h = new History();
  const vipAt = (seq: number) => new Vip(rawFrame(seq, []), decodeFake, SETTINGS, 2);
  const vip = vipAt(0);
  for (let seq = 0; seq < 300; seq++) {
    vip.see(rawFrame(seq, []));
    h.add(vip);
  }
  t.is(h.oldest(vip)?.seq, 190);
  t.is(h.oldest(vipAt(5)), undefined);
});
