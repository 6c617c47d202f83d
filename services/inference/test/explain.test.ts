// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import type { FrameView } from "../../common/native/frame.js";
import { explain } from "../explain.js";
import type { LastStep } from "../session.js";

const names = { server: ["speed", "age"], pool: ["servers"] };
const view = { ids: Uint32Array.of(3, 5), addresses: () => ["10.0.0.3:80", "10.0.0.5:80"] } as unknown as FrameView;

function last(over: Partial<LastStep>): LastStep {
  return {
    frame: { seq: "7" },
    ids: Uint32Array.of(3, 5),
    asked: "marl",
    policy: "marl",
    base: "kalman",
    note: "trained model",
    observation: {
      n: 2,
      server: Float32Array.of(1.25, 0, -0.75, 0.25),
      pool: Float32Array.of(2),
      kalman: Float32Array.of(0.5, 1.5),
      weightStatic: Float32Array.of(6, 2),
      stratum: new Float32Array(2),
      shared: false,
    },
    output: { weights: Float32Array.of(3, 1), bias: Float32Array.of(0.5, 0), kappa: 0, state: new Float32Array(0) },
    outOfRange: 0.125,
    fellBack: "",
    ...over,
  } as LastStep;
}
const reasons = (l: LastStep) => explain(l, view, names).servers?.map((s) => s.reason);

test("what was seen of each server, by name", (t) => {
  const e = explain(last({}), view, names);
  t.like(e, { policy: "marl", frame_seq: "7", feature_names: names.server, pool_features: [2], out_of_range: 0.125 });
  t.like(e.servers?.[0], { server_id: 3, address: "10.0.0.3:80", weight: 1.5, bias: 0.5, kalman: 0.5, features: [1.25, 0] });
});

test("a model's weight is told as a change to what it started from", (t) => {
  t.deepEqual(reasons(last({})), [
    "1.50 of the pool's mean weight, +200 % on Kalman's 0.50; stands out by speed +1.25",
    "0.50 of the pool's mean weight, -67 % on Kalman's 1.50; stands out by speed -0.75",
  ]);
  t.deepEqual(reasons(last({ asked: "qmix", policy: "qmix", base: "configured" })), [
    "1.50 of the pool's mean weight, +0 % on the configured 1.50; stands out by speed +1.25",
    "0.50 of the pool's mean weight, +0 % on the configured 0.50; stands out by speed -0.75",
  ]);
});

test("the built-in policies, and Kalman in another's stead", (t) => {
  t.is(
    reasons(last({ asked: "uniform", base: null, note: "the same weight for every server" }))?.[0],
    "1.50 of the pool's mean weight: the same weight for every server; stands out by speed +1.25",
  );
  t.is(
    reasons(last({ policy: "", base: null, fellBack: "no native step yet" }))?.[0],
    "1.50 of the pool's mean weight: Kalman's, because marl failed: no native step yet",
  );
});
