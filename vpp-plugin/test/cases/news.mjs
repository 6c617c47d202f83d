// SPDX-License-Identifier: Apache-2.0
// What the log says when the agent falls silent: a vector of its own in force, then static weights.
import { setTimeout as sleep } from "node:timers/promises";
import { Bed, s4 } from "../lib/bed.mjs";
import { ok, test } from "../lib/tap.mjs";

const LADDER = 1; // kalman, of enum mlb_ladder

/** One vector as the agent sends it, then silence. */
async function once(file) {
  const { attachRegion } = await import("../../../dist/services/common/native/region.js");
  const { decodeFrame } = await import("../../../dist/services/common/native/frame.js");
  const region = attachRegion(file, () => {});
  try {
    let raw;
    for (const end = Date.now() + 30_000; !raw; await sleep(20)) {
      raw = region.frames()?.find((f) => decodeFrame(f).ids.length === 2);
      ok(raw || Date.now() < end, "no frame with both servers");
    }
    const { ids, weightStatic } = decodeFrame(raw);
    const none = { factor: null, prev: null, ejected: null, bias: null, load: null };
    const rest = { trust: 3, stepRatio: 0, dt: 0.2, ejectedCap: 0.05, newcomersWait: false, exact: false, kappa: 0 };
    const alone = { loadBalancers: 1, loadBalancer: 0, mode: 0, state: 0, term: 0n };
    const p = region.publish({
      ...{ frame: raw, ids, raw: Float32Array.from([2, 1]), stat: weightStatic, flags: new Uint8Array(2), ladder: LADDER },
      ...none,
      ...rest,
      ...alone,
    });
    region.beat();
    ok(p.refused === null, `refused: ${p.refused}`);
  } finally {
    region.close();
  }
}

async function says(v, want) {
  for (const end = Date.now() + 30_000; ; await sleep(100)) {
    const out = await v.cli("show logging");
    if (want.test(out)) return;
    ok(Date.now() < end, `the log says:\n${out}\nexpected ${want}`);
  }
}

async function run(options) {
  const bed = await Bed.start(options);
  try {
    await bed.v.config(["lb rl disable", "lb rl enable flows 1024 lease 4000"]);
    await bed.v.config(["lb rl set-vip v 10.9.0.1 udp 80 l3dsr", `lb rl set-servers ${s4(1)} ${s4(2)}`]);
    await test("news: weights from the agent, then of the plugin's own because it is silent: the log says both", async () => {
      await once(`${bed.v.dir}/shm`);
      await says(bed.v, /VIP v: weights are from kalman, they were from static-dp/);
      await says(bed.v, /VIP v: weights are from static-dp, they were from kalman: the agent has been silent/);
    });
  } finally {
    await bed.stop();
  }
}

export const groups = [{ name: "news", count: 1, run }];
