// SPDX-License-Identifier: Apache-2.0
// A flow whose connect failed at every server that may have it tries those that are masked by no order. The test is the agent.
import net from "node:net";
import path from "node:path";
import test from "ava";
import { decodeFrame } from "../../../services/common/native/frame.js";
import { attachRegion, type RawFrame, type Region } from "../../../services/common/native/region.js";
import { InFlag } from "../../../services/common/vocabulary.js";
import { freePort } from "../../../testbed/process.js";
import { ask, closeOrigin, Dp, named, origin, until } from "./bed.js";

/** What is ordered of a server: its factor and flags. */
type Ordered = readonly [factor: number, flags: number];

async function order(region: Region, frame: RawFrame, ordered: readonly Ordered[], term: bigint): Promise<void> {
  const { ids, weightStatic } = decodeFrame(frame);
  const { seq, refused } = region.publish({
    frame,
    ids,
    raw: weightStatic,
    stat: weightStatic,
    factor: Float32Array.from(ordered, ([factor]) => factor),
    flags: Uint8Array.from(ordered, ([, flags]) => flags),
    ...{ bias: null, load: null, prev: null, ejected: null, trust: 3, stepRatio: 0, dt: 0.2, ejectedCap: 1, exact: false },
    ...{ kappa: 0, loadBalancers: 1, loadBalancer: 0, mode: 0, ladder: 0, state: 0, newcomersWait: false },
    term,
  });
  if (refused !== null) throw new Error(`refused: ${refused}`);
  await until("in force", () => region.effects().some((e) => e.seq === seq && e.allNs > 0n));
}

test("a server that is masked, but not by an order, takes the flows that nobody else does", async (t) => {
  const masked = await origin(named("masked"));
  const drained = await origin(named("drained"));
  const dead = `127.0.0.77:${await freePort()}`;
  const dp = await Dp.start({ vip: "mode alias", servers: [dead, masked, drained], lines: ["lease 60000"] });
  const region = attachRegion(path.join(dp.folder, "region"), () => {});
  let frame: RawFrame | undefined;
  await until("a frame", () => (frame = region.frames()?.[0] ?? frame) !== undefined);
  await order(
    region,
    frame as RawFrame,
    [
      [1, 0],
      [0, InFlag.LAST_RESORT],
      [0, 0],
    ],
    1n,
  );
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(dp.port)));
  t.deepEqual(new Set(answers), new Set(["masked"]));
  // The masked one gets a flow only after the other failed it.
  const s = await dp.statsWhen("counted", (v) => v.servers[1]?.completions === 20);
  t.is(s.retries, 20);
  t.is(s.servers[2]?.newFlows, 0);
  // An order: nobody is left.
  await order(
    region,
    frame as RawFrame,
    [
      [1, 0],
      [0, 0],
      [0, 0],
    ],
    2n,
  );
  await t.throwsAsync(
    new Promise((resolve, reject) => {
      const c = net.connect(dp.port, "127.0.0.1");
      c.on("error", reject).on("close", resolve).resume();
    }),
    { code: "ECONNRESET" },
  );
  t.is((await dp.stats()).servers[2]?.newFlows, 0);
  region.close();
  t.is(await dp.stop(), 0);
  await closeOrigin(masked);
  await closeOrigin(drained);
});
