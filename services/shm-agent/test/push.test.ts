// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import type { PushWeightsRequest__Output } from "../../../gen/marllb/v1/PushWeightsRequest.js";
import { ServiceError } from "../../common/grpc/errors.js";
import { pushOf } from "../push.js";
import { Vip } from "../vip.js";
import { decodeFake, rawFrame } from "./fake-region.js";

const vip = new Vip(
  rawFrame(2, [
    { id: 10, address: "10.0.0.1:80" },
    { id: 11, address: "[::1]:80" },
  ]),
  decodeFake,
  { policy: "kalman", trust: 1.5, kappa: 0, stepRatio: 2, ejectedCap: 0.05, loadBalancers: 1 },
  2,
);
const entry = (server_id: number, weight: number, address = "", bias = 0) => ({ server_id, address, weight, bias });
const request = (
  weights: ReturnType<typeof entry>[],
  over: Partial<PushWeightsRequest__Output> = {},
): PushWeightsRequest__Output => ({
  vip_id: 1,
  weights,
  hold_ms: 0,
  generation: 0,
  ...over,
});

test("servers go by id or by address, in any spelling; the hold is 10 s unless said", (t) => {
  const p = pushOf(request([entry(10, 2), entry(0, 3, "[0:0::1]:80", -1)]), vip, 500);
  t.deepEqual(p.decision.ids, [10, 11]);
  t.deepEqual([...p.decision.weights], [2, 3]);
  t.deepEqual([...p.decision.bias], [0, -1]);
  t.is(p.untilMs, 10_500);
  t.is(pushOf(request([entry(10, 1)], { hold_ms: 50 }), vip, 0).untilMs, 50);
});

const wrong: [what: string, r: PushWeightsRequest__Output, code: string, message: RegExp][] = [
  ["nothing", request([]), "INVALID_ARGUMENT", /^weights: expected at least one/],
  ["not finite", request([entry(10, Number.NaN)]), "INVALID_ARGUMENT", /^weights\[0\]\.weight: expected a finite number/],
  ["infinite", request([entry(10, 1), entry(11, Number.POSITIVE_INFINITY)]), "INVALID_ARGUMENT", /^weights\[1\]\.weight/],
  ["negative", request([entry(10, -1)]), "INVALID_ARGUMENT", /^weights\[0\]\.weight: .* found -1/],
  ["all zero", request([entry(10, 0), entry(11, 0)]), "INVALID_ARGUMENT", /^weights: expected a sum above 0/],
  ["too much for a float", request([entry(10, 1e300)]), "INVALID_ARGUMENT", /^weights: expected a sum above 0 that fits/],
  ["bias not finite", request([entry(10, 1, "", Number.NaN)]), "INVALID_ARGUMENT", /^weights\[0\]\.bias/],
  ["no server named", request([entry(0, 1)]), "INVALID_ARGUMENT", /^weights\[0\]: expected server_id or address/],
  ["unknown id", request([entry(12, 1)]), "INVALID_ARGUMENT", /^weights\[0\]\.server_id: 12 is not a server/],
  ["unknown address", request([entry(0, 1, "10.9.9.9:1")]), "INVALID_ARGUMENT", /^weights\[0\]\.address: 10\.9\.9\.9:1 is not/],
  ["two names of two", request([entry(10, 1, "[::1]:80")]), "INVALID_ARGUMENT", /name two servers/],
  ["twice", request([entry(10, 1), entry(0, 1, "10.0.0.1:80")]), "INVALID_ARGUMENT", /named twice/],
  [
    "another generation",
    request([entry(10, 1)], { generation: 9 }),
    "FAILED_PRECONDITION",
    /^generation: expected the newest, 1, found 9/,
  ],
  ["too long a hold", request([entry(10, 1)], { hold_ms: 1e9 }), "INVALID_ARGUMENT", /^hold_ms/],
];
for (const [what, r, code, message] of wrong) {
  test(`refused: ${what}`, (t) => {
    const e = t.throws(() => pushOf(r, vip, 0), { instanceOf: ServiceError, message });
    t.is(e?.code, code as "NOT_FOUND");
  });
}
