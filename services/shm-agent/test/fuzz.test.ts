// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { ask, context, fuzzService, MUTATIONS, SEED } from "../../../testbed/fuzz.js";
import { Mutator } from "../../../testbed/mutate.js";
import { v1 } from "../../common/grpc/protos.js";
import { Agent } from "../agent.js";
import { create } from "../service.js";
import type { Vip } from "../vip.js";
import { decodeFake, FakeRegion, rawFrame } from "./fake-region.js";

fuzzService(test, "shm-agent", create, async (s) => (await ask<{ vips: unknown[] }>(s, "GetStatus", {})).vips.length > 0);

test("answers to the agent, mutated, leave a working agent", async (t) => {
  const { config, log, clock } = context("/dev/shm/none");
  const region = new FakeRegion();
  const servers = [1, 2, 3].map((id) => ({ id, address: `127.0.0.1:${id}` }));
  region.messages.push([rawFrame(1, servers)]);
  const agent = new Agent({
    config,
    log,
    clock,
    attach: () => region,
    decode: decodeFake,
    kept: { read: () => [], save() {} },
    onFrame() {},
    onEffect() {},
    counts: "",
    others() {},
    onGone() {},
  });
  agent.start();
  t.teardown(() => agent.stop());
  const vip = agent.vip(1) as Vip;
  const steer = v1.Inference.service.Steer;
  const supervise = v1.Failover.service.Supervise;
  const weights = Buffer.from(Float32Array.of(1, 2, 3).buffer);
  const answer = { vip_id: 1, dp_epoch: "1", generation: 1, frame_seq: 1, server_ids: [1, 2, 3], weights, bias: weights };
  const goodAnswer = steer.responseSerialize({ weights: answer, checkpoint: { policy: "kalman", state: weights } });
  const servers_ = [{ server_id: 2, factor: 0.5 }];
  const override = { server_ids: [1], weights: [2] };
  const pool = { managed: true, revision: 2, servers: [{ address: "127.0.0.1:1", weight: 1 }] };
  const goodOrder = supervise.responseSerialize({
    directive: { vip_id: 1, dp_epoch: "1", birth: "1", term: 3, servers: servers_, override, pool },
  });
  const mutator = new Mutator(SEED);
  for (let i = 0; i < MUTATIONS; i++) {
    try {
      agent.exchange.hearWeights(vip, steer.responseDeserialize(mutator.mutate(goodAnswer)));
    } catch (e) {
      t.false(e instanceof TypeError, (e as Error).stack);
    }
    try {
      const order = supervise.responseDeserialize(mutator.mutate(goodOrder)).directive;
      if (order) agent.exchange.hearDirective(order);
    } catch (e) {
      t.false(e instanceof TypeError, (e as Error).stack);
    }
  }
  const { shares } = vip;
  const sum = [...shares.values()].reduce((a, b) => a + b, 0);
  t.true(Math.abs(sum - 1) < 1e-5, String(sum));
});
