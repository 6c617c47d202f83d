// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import type { GetPoolResponse__Output } from "../../../gen/marllb/v1/GetPoolResponse.js";
import { flowsText, poolFlows } from "../pool-flows.js";

const A = "10.0.0.1:80";
const B = "10.0.0.2:80";

/** What one replica says; flows in the order of the members. */
function said(
  members: string[],
  lbs: [instance: string, heard: boolean, flows: number[], unknown?: string][],
  expected = lbs.length,
) {
  return {
    members: members.map((address) => ({ server: { address } })),
    load_balancers: lbs.map(([instance, heard, flows, unknown = ""]) => ({ instance, heard, flows, unknown })),
    expected_load_balancers: expected,
  } as unknown as GetPoolResponse__Output;
}

test("each load balancer counts once, at the replica that hears it, whatever the order of its members", (t) => {
  const one = said(
    [A, B],
    [
      ["lb1", true, [3, 1]],
      ["lb2", false, [0, 0], "lb2 is away; it had 5"],
    ],
    2,
  );
  const two = said([B, A], [["lb2", true, [2, 4]]], 2);
  for (const order of [
    [one, two],
    [two, one],
  ]) {
    const flows = poolFlows(order);
    t.deepEqual(
      [flows.get(A), flows.get(B)],
      [
        { flows: 7, unknown: "" },
        { flows: 3, unknown: "" },
      ],
    );
  }
});

test("what nobody hears is unknown", (t) => {
  const flows = poolFlows([said([A], [["lb1", true, [0]]], 2)]);
  t.deepEqual(flows.get(A), { flows: 0, unknown: "1 of 2 load balancers is heard nowhere" });
  t.is(flowsText(flows.get(A)), "0+");
  const away = poolFlows([said([A], [["lb1", false, [0], "lb1 is away; it had 5"]])], 1);
  t.regex(away.get(A)?.unknown ?? "", /lb1 is away; it had 5; 1 failover replica does not answer/);
  t.is(poolFlows([said([A], [])]).get(A)?.unknown, "1 of 1 load balancers is heard nowhere");
});

test("all are heard: a replica that does not answer hides nothing", (t) => {
  t.deepEqual(poolFlows([said([A], [["lb1", true, [0]]])], 1).get(A), { flows: 0, unknown: "" });
  t.is(flowsText(undefined), "?");
});

test("two load balancers of one name at two replicas are said, for one of them is not counted", (t) => {
  const flows = poolFlows([said([A], [["lb1", true, [0]]], 1), said([A], [["lb1", true, [3]]], 1)]);
  t.regex(flows.get(A)?.unknown ?? "", /^two load balancers are named lb1/);
});
