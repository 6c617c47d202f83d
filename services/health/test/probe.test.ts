// SPDX-License-Identifier: Apache-2.0
import { createServer as createHttp } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import test from "ava";
import { probe } from "../probe.js";

const now = (): number => performance.now();
const listen = (s: Server): Promise<number> =>
  new Promise((r) => s.listen(0, "127.0.0.1", () => r((s.address() as AddressInfo).port)));
const close = (s: Server): Promise<void> => new Promise((r) => s.close(() => r()));

test("tcp: a listener is up, a closed port is refused", async (t) => {
  const server = createServer((s) => s.on("error", () => {}));
  const port = await listen(server);
  const address = `127.0.0.1:${port}`;
  const good = await probe({ kind: "tcp", address, timeoutMs: 2000, path: "/" }, now);
  t.true(good.ok, good.reason);
  await close(server);
  const bad = await probe({ kind: "tcp", address, timeoutMs: 2000, path: "/" }, now);
  t.deepEqual([bad.ok, bad.reason], [false, "tcp: connection refused"]);
});

test("http: the status decides, and a server that never answers times out", async (t) => {
  const server = createHttp((request, response) => {
    if (request.url === "/ok") response.end("fine");
    else if (request.url === "/bad") response.writeHead(503).end();
  });
  const port = await listen(server);
  const ask = (path: string, timeoutMs: number) => probe({ kind: "http", address: `127.0.0.1:${port}`, timeoutMs, path }, now);
  t.true((await ask("/ok", 2000)).ok);
  t.deepEqual(await ask("/bad", 2000), { ok: false, reason: "http: status 503", rttMs: 0 });
  t.deepEqual(await ask("/hang", 50), { ok: false, reason: "http: no answer in 50 ms", rttMs: 0 });
  server.closeAllConnections();
  await close(server);
});

test("an address that is none is a result, not an error", async (t) => {
  t.false((await probe({ kind: "tcp", address: "nonsense", timeoutMs: 100, path: "/" }, now)).ok);
});

test.serial("ping: without the program it is the check that failed, not the server", async (t) => {
  const { PATH } = process.env;
  process.env.PATH = "/nonexistent";
  t.teardown(() => {
    process.env.PATH = PATH;
  });
  const r = await probe({ kind: "ping", address: "127.0.0.1:1", timeoutMs: 1000, path: "/" }, now);
  t.deepEqual(r, { ok: false, reason: "ping: the program ping is not installed", rttMs: 0, local: true });
});
