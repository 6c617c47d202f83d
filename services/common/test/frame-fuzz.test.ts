// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { MUTATIONS, realFrame, SEED } from "../../../testbed/fuzz.js";
import { Mutator } from "../../../testbed/mutate.js";
import { decodeFrame } from "../native/frame.js";

test("frames, mutated, are decoded or refused", async (t) => {
  const { frame, stack } = await realFrame();
  t.teardown(() => stack.stop());
  const raw = [frame.hdr, frame.records];
  const mutator = new Mutator(SEED);
  let decoded = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const which = i % 2;
    const damaged = raw.map((b, k) => (k === which ? mutator.mutate(b) : b));
    try {
      const view = decodeFrame({ hdr: damaged[0] as Buffer, records: damaged[1] as Buffer });
      view.addresses();
      for (const field of ["flows", "weight", "ttfb.mean", "new_flows"]) t.is(view.column(field).length, view.count);
      decoded++;
    } catch (e) {
      t.regex((e as Error).name, /NativeError/);
    }
  }
  t.true(decoded > MUTATIONS / 10);
});
