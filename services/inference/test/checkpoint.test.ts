// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { decodeState, encodeState, rowsFor } from "../checkpoint.js";

const state = {
  observation: Buffer.from("observation"),
  policy: { size: 2, ids: Uint32Array.of(5, 9), values: Float32Array.of(1, 2, 3, 4) },
};

test("what is encoded is decoded", (t) => {
  const back = decodeState(encodeState(state));
  t.deepEqual(back?.observation, state.observation);
  t.deepEqual(back?.policy, state.policy);
});

test("rows follow server ids; a new server starts from zero, another size from nothing", (t) => {
  t.deepEqual([...rowsFor(state.policy, [9, 7, 5], 2)], [3, 4, 0, 0, 1, 2]);
  t.deepEqual([...rowsFor(state.policy, [5, 9], 2)], [1, 2, 3, 4]);
  t.deepEqual([...rowsFor(state.policy, [5], 3)], [0, 0, 0]);
});

test("bytes that are no state are refused: cut, longer, changed, not finite", (t) => {
  const good = encodeState(state);
  for (let n = 0; n < good.length; n++) t.is(decodeState(good.subarray(0, n)), null);
  t.is(decodeState(Buffer.concat([good, Buffer.of(0)])), null);
  t.is(decodeState(Buffer.from("something else, long enough")), null);
  const nan = Buffer.from(good);
  nan.writeFloatLE(Number.NaN, nan.length - 4);
  t.is(decodeState(nan), null);
  const huge = Buffer.from(good);
  huge.writeUInt32LE(0xffffffff, 8);
  t.is(decodeState(huge), null);
});
