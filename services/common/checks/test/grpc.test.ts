// SPDX-License-Identifier: Apache-2.0
import { createServer, type Server } from "node:net";
import * as grpc from "@grpc/grpc-js";
import test from "ava";
import { runCheck } from "../../../../testbed/checks.js";
import { check, healthRequest, healthStatus } from "../grpc.js";

const identity = (b: Buffer): Buffer => b;

/** A server whose Check answers by the service's name. */
async function served(t: { teardown(fn: () => void): void }): Promise<number> {
  const server = new grpc.Server();
  const definition = {
    Check: {
      path: "/grpc.health.v1.Health/Check",
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  };
  server.addService(definition, {
    Check(call: { request: Buffer }, callback: grpc.sendUnaryData<Buffer>) {
      const name = call.request.subarray(2).toString();
      if (name === "stranger") callback({ code: grpc.status.NOT_FOUND });
      else callback(null, Buffer.from(name === "ill" ? [8, 2] : name === "young" ? [] : [8, 1]));
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (e, p) => (e ? reject(e) : resolve(p))),
  );
  t.teardown(() => server.forceShutdown());
  return port;
}

test("SERVING is good; every other state, an unknown service and a server of something else are not", async (t) => {
  const port = await served(t);
  const ask = (grpc_service: string): Promise<string> =>
    runCheck(check, { host: "127.0.0.1", port }, { grpc_service, send_proxy: "off" });
  t.is(await ask(""), "SERVING");
  t.is(await ask("shop.v1.Cart"), "SERVING");
  await t.throwsAsync(ask("ill"), { message: "NOT_SERVING", code: "CHECK_FAILED" });
  await t.throwsAsync(ask("young"), { message: "UNKNOWN" });
  await t.throwsAsync(ask("stranger"), {
    message: "gRPC status NOT_FOUND: it does not know the service that `grpc_service` names",
  });
});

test("a server that is none of gRPC fails the check, and nothing of it stays open", async (t) => {
  const sockets: boolean[] = [];
  const server: Server = createServer((s) => {
    s.on("error", () => {});
    s.on("close", () => sockets.push(true));
    s.end("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  await new Promise<void>((r) => server.listen(0, "127.0.0.1", () => r()));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  await t.throwsAsync(runCheck(check, { host: "127.0.0.1", port }, { send_proxy: "off" }));
  const deadline = new AbortController();
  const silent = createServer((s) => s.on("error", () => {}).resume());
  await new Promise<void>((r) => silent.listen(0, "127.0.0.1", () => r()));
  t.teardown(() => silent.close());
  const late = runCheck(check, { host: "127.0.0.1", port: (silent.address() as { port: number }).port }, {}, deadline.signal);
  setImmediate(() => deadline.abort());
  await t.throwsAsync(late);
});

test("the two messages", (t) => {
  t.deepEqual([...healthRequest("")], [0, 0, 0, 0, 0]);
  t.deepEqual([...healthRequest("ab")], [0, 0, 0, 0, 4, 0x0a, 2, 0x61, 0x62]);
  t.is(healthStatus(Buffer.from([0, 0, 0, 0, 2, 8, 1])), 1);
  t.is(healthStatus(Buffer.from([0, 0, 0, 0, 0])), 0);
  for (const bad of [[], [0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 9, 8, 1], [0, 0, 0, 0, 2, 9, 1], [0, 0, 0, 0, 3, 8, 129, 1]])
    t.is(healthStatus(Buffer.from(bad)), null, bad.join());
});
