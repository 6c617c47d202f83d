// SPDX-License-Identifier: Apache-2.0
// Damaged messages over real connections: every call ends, and the service serves on.
import * as grpc from "@grpc/grpc-js";
import test from "ava";
import { samples } from "../../../testbed/messages.js";
import { Mutator } from "../../../testbed/mutate.js";
import { type ServiceFolder, scratch, start } from "../../../testbed/service.js";
import { v1 } from "../grpc/protos.js";

const CALLS = 200;
const asIs = (b: Buffer): Buffer => b;
const frame = {
  vip_id: 1,
  schema: 1,
  record_size: 552,
  hdr: Buffer.alloc(320),
  records: Buffer.alloc(552),
  dp_epoch: "1",
  birth: "1",
  generation: 1,
  seq: 1,
};
const SERVICES: [ServiceFolder, grpc.ServiceDefinition][] = [
  ["shm-agent", v1.ShmAgent.service],
  ["inference", v1.Inference.service],
  ["health", v1.Health.service],
  ["failover", v1.Failover.service],
];

/** One call with these bytes; resolves to its status once it is over. A stream of answers is cancelled after its first. */
function send(client: grpc.Client, m: grpc.MethodDefinition<unknown, unknown>, good: Buffer, bad: Buffer): Promise<number> {
  const options = { deadline: Date.now() + 60_000 };
  return new Promise((resolve) => {
    const answered = (e: grpc.ServiceError | null): void => resolve(e?.code ?? 0);
    if (m.requestStream && m.responseStream) {
      const call = client.makeBidiStreamRequest(m.path, asIs, asIs, options);
      call.on("data", () => {}).on("error", () => {});
      call.on("status", (s: grpc.StatusObject) => resolve(s.code));
      call.write(good);
      call.write(bad);
      call.end();
    } else if (m.requestStream) {
      const call = client.makeClientStreamRequest(m.path, asIs, asIs, new grpc.Metadata(), options, answered);
      call.write(bad);
      call.end();
    } else if (m.responseStream) {
      const call = client.makeServerStreamRequest(m.path, asIs, asIs, bad, options);
      call.on("data", () => call.cancel()).on("error", () => {});
      call.on("status", (s: grpc.StatusObject) => resolve(s.code));
      setTimeout(() => call.cancel(), 50); // a stream without news is over when its reader says so
    } else {
      client.makeUnaryRequest(m.path, asIs, asIs, bad, new grpc.Metadata(), options, answered);
    }
  });
}

for (const [folder, definition] of SERVICES) {
  test(`${folder}: damaged messages over the wire`, async (t) => {
    const s = scratch();
    t.teardown(s.remove);
    const config = `
region: { path: /dev/shm/marllb-test-${process.pid}-wire }
services:
  inference: { listen: "127.0.0.1:1", metrics: "127.0.0.1:2" }
  health: { listen: "127.0.0.1:3", metrics: "127.0.0.1:4" }
  failover: { listen: "127.0.0.1:5", metrics: "127.0.0.1:6" }
health: { kind: none }
failover: { store: { kind: memory } }
log: { level: silent }
`;
    const it = await start(folder, s.config(config));
    t.teardown(() => it.child.kill("SIGKILL"));
    const client = new grpc.Client(it.grpc, grpc.credentials.createInsecure());
    t.teardown(() => client.close());
    const mutator = new Mutator(7);
    for (const [method, good] of Object.entries(samples(folder, frame))) {
      const m = definition[method] as grpc.MethodDefinition<unknown, unknown>;
      const bytes = good.map((g) => m.requestSerialize(g));
      for (let i = 0; i < CALLS; i += 20) {
        const calls = Array.from({ length: 20 }, (_, k) =>
          send(client, m, bytes[0] as Buffer, mutator.mutate(bytes[(i + k) % bytes.length] as Buffer)),
        );
        for (const code of await Promise.all(calls)) t.not(code, grpc.status.DEADLINE_EXCEEDED, `${method} hangs`);
      }
    }
    const livez = await fetch(`http://${it.metrics}/livez`);
    t.is(livez.status, 200);
    t.is(await it.stop(), 0, it.stderr());
  });
}
