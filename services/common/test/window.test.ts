// SPDX-License-Identifier: Apache-2.0
// What a server of ours lets a client send before it has read it, as any HTTP/2 client is told.
import http2 from "node:http2";
import * as grpc from "@grpc/grpc-js";
import test from "ava";
import { eventually } from "../../../testbed/wait.js";
import { serverOptions } from "../grpc/channel.js";
import { v1 } from "../grpc/protos.js";
import { WINDOW_BYTES, widenConnections, widenStreams } from "../grpc/window.js";

test("a frame fits behind another one: windows of streams and of connections are wide", async (t) => {
  const server = new grpc.Server(serverOptions);
  server.addService(v1.Process.service, {});
  widenStreams(server);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (e, p) => (e ? reject(e) : resolve(p))),
  );
  widenConnections(server);
  t.teardown(() => server.forceShutdown());
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  const settings = await new Promise<http2.Settings>((resolve) => session.once("remoteSettings", resolve));
  t.is(settings.initialWindowSize, WINDOW_BYTES);
  t.true((settings.maxConcurrentStreams ?? 0) > 0, "other settings stay");
  await eventually("the connection's window", async () => (session.state.remoteWindowSize ?? 0) >= WINDOW_BYTES);
  t.true((session.state.remoteWindowSize ?? 0) >= WINDOW_BYTES);
});
