// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { ServerFlag } from "../../common/vocabulary.js";
import { pushOf } from "../push.js";
import { serverRows, sumOf } from "../server-rows.js";
import { Vip } from "../vip.js";
import { decodeFake, rawFrame, SETTINGS } from "./fake-region.js";

const LEAVING = ServerFlag.MEMBER | ServerFlag.LEAVING;
const vipOf = (servers: Parameters<typeof rawFrame>[1]) => new Vip(rawFrame(1, servers), decodeFake, SETTINGS, 2);

test("a server that left and came back while its old flows run is one row: counts of both records, state of the member", (t) => {
  const old = { id: 1, address: "10.0.0.1:80", flows: 2, new_flows: 100, flags: LEAVING };
  for (const servers of [
    [old, { id: 7, address: "10.0.0.1:80", flows: 3, new_flows: 5 }],
    [{ id: 7, address: "10.0.0.1:80", flows: 3, new_flows: 5 }, old],
  ]) {
    const vip = vipOf(servers);
    const [row, ...more] = serverRows(vip);
    t.deepEqual(more, []);
    t.is(vip.view.ids[row?.member ?? -1], 7);
    t.is(sumOf(vip, "new_flows")(row as never), 105);
    t.is(sumOf(vip, "flows")(row as never), 5);
  }
});

test("a server's sums do not fall when its old record goes, after it left and came back", (t) => {
  const a = { id: 1, address: "10.0.0.1:80", answers: 40 };
  const b = { id: 2, address: "10.0.0.2:80", answers: 60 };
  const vip = vipOf([a, b]);
  const answers = () => sumOf(vip, "answers")(serverRows(vip).find((r) => r.address === b.address) as never);
  vip.see(rawFrame(2, [a, { ...b, answers: 65 }, { id: 3, address: b.address, answers: 0 }], { generation: 2 }));
  t.is(answers(), 65);
  vip.see(rawFrame(3, [a, { id: 3, address: b.address, answers: 4 }], { generation: 2 }));
  t.is(answers(), 69, "the old record's 65 and the new one's 4");
  vip.see(rawFrame(4, [a], { generation: 3 }));
  vip.see(rawFrame(5, [a, { id: 4, address: b.address, answers: 1 }], { generation: 4 }));
  t.is(answers(), 1, "it was away: a series that ended begins anew");
});

test("rows stay the same objects while the same servers are there, and are made anew when one leaves or its record does", (t) => {
  const a = { id: 1, address: "10.0.0.1:80" };
  const b = { id: 2, address: "10.0.0.2:80" };
  const vip = vipOf([a, b]);
  const first = serverRows(vip);
  vip.see(rawFrame(2, [a, b]));
  t.is(serverRows(vip), first);
  const back = { id: 3, address: b.address };
  vip.see(rawFrame(3, [a, b, back], { generation: 2 }));
  t.is(serverRows(vip).find((r) => r.address === b.address)?.member, 2);
  vip.see(rawFrame(4, [a, { ...b, flags: LEAVING }, back], { generation: 2 }));
  t.deepEqual(serverRows(vip).find((r) => r.address === b.address)?.records, [1, 2]);
  vip.see(rawFrame(5, [a], { generation: 3 }));
  t.deepEqual(
    serverRows(vip).map((r) => r.address),
    [a.address],
  );
});

test("a push by address is for the member", (t) => {
  const vip = vipOf([
    { id: 7, address: "10.0.0.1:80" },
    { id: 1, address: "10.0.0.1:80", flags: LEAVING },
  ]);
  const weights = [{ server_id: 0, address: "10.0.0.1:80", weight: 1, bias: 0 }];
  t.deepEqual(pushOf({ vip_id: 1, weights, hold_ms: 0, generation: 0 }, vip, 0).decision.ids, [7]);
});
