// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { context } from "../../common/test/fuzz.js";
import { Agent } from "../agent.js";
import { decodeFake, FakeRegion, rawFrame } from "./fake-region.js";

test("a frame that wants weights while inference is away is an unanswered tick, not an error", (t) => {
  const { config, log, clock } = context("/dev/shm/none");
  const region = new FakeRegion();
  const servers = [1, 2].map((id) => ({ id, address: `127.0.0.1:${id}` }));
  region.pendingFrames.push(rawFrame(2, servers));
  const agent = new Agent({ config, log, clock, attach: () => region, decode: decodeFake, onFrame() {}, onEffect() {} });
  t.teardown(() => agent.stop());
  agent.peers.steer = () => false;
  agent.start();
  t.is(agent.errors, 0);
  t.is(agent.vips.get(1)?.frame.seq, 2);
});
