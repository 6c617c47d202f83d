// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { fuzzService, MUTATIONS, SEED } from "../../../testbed/fuzz.js";
import { Mutator } from "../../../testbed/mutate.js";
import { v1 } from "../../common/grpc/protos.js";
import { FailoverCore } from "../core.js";
import { create } from "../service.js";
import { heardIn } from "../verdicts.js";
import { Votes } from "../votes.js";
import { agent } from "./agents.js";

fuzzService(test, "failover", create);

test("health's verdicts, mutated, are of servers in the pool or of nobody", (t) => {
  const core = new FailoverCore({
    rules: { minHealthy: 1, panicThreshold: 0.3, slowStartMs: 1000 },
    events: { order() {}, changed() {}, forgotten() {}, later() {} },
    configured: () => 1,
    heard: () => "UNKNOWN",
    hears: () => true,
    fixed: [],
  });
  const at = (now: number) => ({ now, unixMs: now });
  core.list(agent("fuzz", [1, 2]), at(0));
  const watch = v1.Health.service.Watch;
  const verdict = {
    instance: "fuzz",
    vip_id: 1,
    dp_epoch: "1",
    reason: "tcp: connection refused",
    since_unix_ms: 1,
    rtt_ms: 0.5,
    vip: "web",
  };
  const good = watch.responseSerialize({
    verdicts: [
      { ...verdict, server_id: 1, address: "10.0.0.1:80", state: "HEALTH_STATE_DOWN" },
      { ...verdict, server_id: 2, address: "10.0.0.2:80", state: "HEALTH_STATE_UP" },
    ],
    snapshot: true,
  });
  const mutator = new Mutator(SEED);
  let facts = 0;
  let now = 0;
  const votes = new Votes(
    (pool, address, state) => {
      core.health(pool, address, state, at(now));
      facts++;
    },
    (look) => look(),
  );
  for (let i = 0; i < MUTATIONS; i++) {
    now = i;
    let message: ReturnType<typeof watch.responseDeserialize>;
    try {
      message = watch.responseDeserialize(mutator.mutate(good));
    } catch (e) {
      t.false(e instanceof TypeError, (e as Error).stack);
      continue; // gRPC refuses it before failover hears it
    }
    votes.hear(`replica ${i % 3}`, heardIn(message), message.snapshot);
  }
  t.true(facts > MUTATIONS / 20, `${facts} facts were heard`);
  const { order } = core.find(1, "web");
  t.deepEqual(order.members.map((x) => x.address).sort(), ["10.0.0.1:80", "10.0.0.2:80"]);
  t.true([...order.shares.keys()].every((address) => order.members.some((x) => x.address === address)));
});
