// SPDX-License-Identifier: Apache-2.0
// The functions that the build makes of proto/ are those that protobuf.js makes of the files at run time.
import type { ServiceDefinition } from "@grpc/grpc-js";
import test from "ava";
import { frameMessage, samples } from "../../../testbed/messages.js";
import { packageDefinition, serviceOf } from "../grpc/protos.js";

const SERVICES = ["Failover", "Health", "Inference", "Process", "ShmAgent"].map((s) => `marllb.v1.${s}`);
/** The last digits of a 64-bit number are the first to be lost. */
const EPOCH = "1790000000123456789";
const frame = frameMessage({
  ...{
    vipId: 3,
    schema: 1,
    recordSize: 4,
    hdr: Buffer.from([1, 2]),
    records: Buffer.from([0, 255]),
    generation: 7,
    seq: 2 ** 40,
  },
  ...{ dpEpoch: BigInt(EPOCH), birth: 18_446_744_073_709_551_615n, monoNs: 0n, realNs: 0n },
});

test("every method has its name, path and kind", async (t) => {
  const whole = await packageDefinition();
  for (const name of [...SERVICES, "grpc.health.v1.Health"]) {
    const ours = serviceOf(name);
    const theirs = whole[name] as ServiceDefinition;
    t.deepEqual(Object.keys(ours).sort(), Object.keys(theirs).sort(), name);
    for (const [method, m] of Object.entries(theirs)) {
      const kind = (d: typeof m | undefined) => [d?.path, d?.requestStream, d?.responseStream];
      t.deepEqual(kind(ours[method]), kind(m), method);
    }
  }
});

test("requests become the same bytes, and the same objects again", async (t) => {
  const whole = await packageDefinition();
  let tried = 0;
  for (const [folder, name] of [
    ["inference", "Inference"],
    ["health", "Health"],
    ["failover", "Failover"],
    ["shm-agent", "ShmAgent"],
  ] as const) {
    const ours = serviceOf(`marllb.v1.${name}`);
    const theirs = whole[`marllb.v1.${name}`] as ServiceDefinition;
    for (const [method, messages] of Object.entries(samples(folder, frame)))
      for (const message of messages) {
        const bytes = ours[method]?.requestSerialize(message) as Buffer;
        t.deepEqual(bytes, theirs[method]?.requestSerialize(message), `${name}.${method}`);
        t.deepEqual(ours[method]?.requestDeserialize(bytes), theirs[method]?.requestDeserialize(bytes), `${name}.${method}`);
        tried++;
      }
  }
  t.true(tried > 20, `${tried} messages`);
});

test("answers become the same: words of enums, defaults, numbers of 64 bits", async (t) => {
  const whole = await packageDefinition();
  const answers: [service: string, method: string, answer: object][] = [
    [
      "ShmAgent",
      "GetStatus",
      { instance: "one", vips: [{ vip_id: 1, mode: "MODE_SED", ladder: 2, state: "VIP_STATE_OK", dp_epoch: EPOCH }] },
    ],
    [
      "ShmAgent",
      "StreamStats",
      { servers: [{ id: 1, new_flows: 5, duration: { samples: 3, mean_ms: 1.5 } }], time_unix_ns: EPOCH },
    ],
    [
      "Failover",
      "Supervise",
      { vip_id: 1, term: EPOCH, pool: { managed: true, revision: EPOCH, servers: [{ address: "a", weight: 0 }] } },
    ],
    ["Inference", "Steer", { weights: { vip_id: 1, dp_epoch: EPOCH, frame_seq: "7", weights: [{ server_id: 1, weight: 0.5 }] } }],
  ];
  for (const [service, method, answer] of answers) {
    const ours = serviceOf(`marllb.v1.${service}`)[method];
    const theirs = (whole[`marllb.v1.${service}`] as ServiceDefinition)[method];
    const bytes = ours?.responseSerialize(answer) as Buffer;
    t.deepEqual(bytes, theirs?.responseSerialize(answer), method);
    const read = ours?.responseDeserialize(bytes);
    t.deepEqual(read, theirs?.responseDeserialize(bytes), method);
    t.deepEqual(ours?.responseDeserialize(Buffer.alloc(0)), theirs?.responseDeserialize(Buffer.alloc(0)), `${method}: defaults`);
  }
});
