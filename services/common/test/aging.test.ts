// SPDX-License-Identifier: Apache-2.0
// Connections age, so that a replica that is started later gets its share of the streams.
import * as grpc from "@grpc/grpc-js";
import test, { type ExecutionContext } from "ava";
import type { WatchRequest } from "../../../gen/marllb/v1/WatchRequest.js";
import type { WatchResponse__Output } from "../../../gen/marllb/v1/WatchResponse.js";
import { freePort } from "../../../testbed/process.js";
import { eventually } from "../../../testbed/wait.js";
import { clientOptions, serverOptions } from "../grpc/channel.js";
import { v1 } from "../grpc/protos.js";
import { LastingStream, systemTimers } from "../stream.js";

const young = { ...serverOptions, "grpc.max_connection_age_ms": 300, "grpc.max_connection_age_grace_ms": 100 };

/** A replica on a port; how many streams it has now. */
async function replica(t: ExecutionContext, port: number): Promise<{ port: number; streams: Set<unknown> }> {
  const streams = new Set<unknown>();
  const server = new grpc.Server(young);
  server.addService(v1.Health.service, {
    Watch(call: grpc.ServerWritableStream<unknown, object>) {
      streams.add(call);
      call.on("cancelled", () => streams.delete(call)).on("close", () => streams.delete(call));
      call.write({});
    },
  });
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (e, p) => (e ? reject(e) : resolve(p))),
  );
  t.teardown(() => server.forceShutdown());
  return { port: bound, streams };
}

test("every server's connections age", (t) => {
  t.true((serverOptions["grpc.max_connection_age_ms"] ?? 0) > 0);
});

test("a replica that comes later gets streams of clients that were there before", async (t) => {
  const first = await replica(t, 0);
  const port = await freePort();
  const target = `ipv4:127.0.0.1:${first.port},127.0.0.1:${port}`;
  for (let i = 0; i < 6; i++) {
    // Six processes have a connection each.
    const options = { ...clientOptions, "grpc.use_local_subchannel_pool": 1 };
    const client = new v1.Health(target, grpc.credentials.createInsecure(), options);
    const stream = new LastingStream<WatchRequest, WatchResponse__Output>({
      open: () => Object.assign(client.Watch({ instance: "" }), { write: () => true }),
      key: () => 0,
      onMessage() {},
      timers: systemTimers(() => performance.now()),
      stallMs: 60_000,
      pipeline: 1,
    });
    t.teardown(() => {
      stream.close();
      client.close();
    });
  }
  await eventually("all are at the one that there is", async () => first.streams.size === 6);
  const second = await replica(t, port);
  await eventually("the second has some", async () => second.streams.size > 0);
  t.pass();
});
