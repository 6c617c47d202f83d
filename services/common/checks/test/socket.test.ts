// SPDX-License-Identifier: Apache-2.0
import { setMaxListeners } from "node:events";
import { closeSync, readdirSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import test from "ava";
import { runCheck } from "../../../../testbed/checks.js";
import { eventually, sleep } from "../../../../testbed/wait.js";
import { type Connect, connect } from "../../native/connector.js";
import { opened } from "../socket.js";
import { check } from "../tcp.js";

/** What the handshake took, ms. */
const connected = (to: Connect): Promise<number> =>
  new Promise((resolve, reject) => connect(to, (error, _fd, ms) => (error ? reject(error) : resolve(ms))));

/** A port of `host` that nobody listens on. */
async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((r) => server.listen(0, host, () => r()));
  const { port } = server.address() as AddressInfo;
  await new Promise((r) => server.close(r));
  return port;
}

for (const host of ["127.0.0.1", "::1"]) {
  test(`tcp ${host}: a connect that meets itself is a failed check`, async (t) => {
    const port = await freePort(host);
    await t.throwsAsync(connected({ address: host, port, keep: false, localPort: port }), {
      code: "ESELF",
      message: "connected to itself: no listener",
    });
  });
}

test("tcp: a connection of this host with a listener is none with itself", async (t) => {
  const server = createServer((s) => s.on("error", () => {}));
  await new Promise<void>((r) => server.listen(0, "127.0.0.1", () => r()));
  const { port } = server.address() as AddressInfo;
  t.is(await runCheck(check, { host: "127.0.0.1", port }), "connected");
  t.is(await runCheck(check, { host: "localhost", port }), "connected");
  const ms = await connected({ address: "127.0.0.1", port, keep: false });
  t.true(ms > 0 && ms < 10_000);
  await new Promise((r) => server.close(r));
  await t.throwsAsync(runCheck(check, { host: "127.0.0.1", port }), { code: "ECONNREFUSED" });
});

test("tcp: many connects at once have each its own answer; the descriptors are given back", async (t) => {
  let open = 0;
  const server = createServer((s) => {
    open++;
    s.on("error", () => {}).on("close", () => open--);
  });
  await new Promise<void>((r) => server.listen(0, "127.0.0.1", () => r()));
  const { port } = server.address() as AddressInfo;
  const shut = await freePort("127.0.0.1");
  const before = readdirSync("/proc/self/fd").length;
  const asked = Array.from({ length: 500 }, (_, i) =>
    connected({ address: "127.0.0.1", port: i % 5 === 0 ? shut : port, keep: false }).then(
      () => true,
      () => false,
    ),
  );
  t.deepEqual(
    await Promise.all(asked),
    asked.map((_, i) => i % 5 !== 0),
  );
  await eventually("no connection is left", async () => open === 0);
  await eventually("descriptors are given back", async () => readdirSync("/proc/self/fd").length <= before + 3);
  await new Promise((r) => server.close(r));
});

test("tcp: a check that is over closes what it opened, before the handshake and after it", async (t) => {
  const server = createServer((s) => s.on("error", () => {}));
  await new Promise<void>((r) => server.listen({ port: 0, host: "127.0.0.1" }, () => r()));
  const { port } = server.address() as AddressInfo;
  const before = readdirSync("/proc/self/fd").length;
  for (const wait of [0, 1, 5]) {
    const over = new AbortController();
    setMaxListeners(0, over.signal);
    const asked = Array.from({ length: 20 }, () => opened({ host: "127.0.0.1", port }, over.signal));
    const settled = Promise.allSettled(asked);
    await sleep(wait);
    over.abort();
    for (const r of await settled) if (r.status === "rejected") t.is((r.reason as Error).message, "aborted");
  }
  await eventually("descriptors are given back", async () => readdirSync("/proc/self/fd").length <= before + 3);
  server.close();
});

test("tcp: a connect that is cancelled is not heard of again, and closes what it opened", async (t) => {
  const server = createServer((s) => s.on("error", () => {}));
  await new Promise<void>((r) => server.listen(0, "127.0.0.1", () => r()));
  const { port } = server.address() as AddressInfo;
  const before = readdirSync("/proc/self/fd").length;
  for (const wait of [0, 1, 5]) {
    let heard = 0;
    const cancels = Array.from({ length: 20 }, () =>
      connect({ address: "127.0.0.1", port, keep: true }, (_error, fd) => {
        heard++;
        if (fd >= 0) closeSync(fd);
      }),
    );
    await sleep(wait);
    const until = heard;
    for (const cancel of cancels) cancel();
    await connected({ address: "127.0.0.1", port, keep: false });
    t.is(heard, until);
  }
  await eventually("descriptors are given back", async () => readdirSync("/proc/self/fd").length <= before + 3);
  server.close();
});
