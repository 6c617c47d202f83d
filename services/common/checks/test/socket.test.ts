// SPDX-License-Identifier: Apache-2.0
import { type AddressInfo, createServer } from "node:net";
import test from "ava";
import { opened } from "../socket.js";
import { check } from "../tcp.js";

const { signal } = new AbortController();

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
    await t.throwsAsync(opened({ host, port, localAddress: host, localPort: port }, signal), {
      message: "connected to itself: no listener",
    });
  });
}

test("tcp: a connection of this host with a listener is none with itself", async (t) => {
  const server = createServer((s) => s.on("error", () => {}));
  await new Promise<void>((r) => server.listen(0, "127.0.0.1", () => r()));
  const { port } = server.address() as AddressInfo;
  t.is(await check.run?.({ host: "127.0.0.1", port }, {}, signal), "connected");
  await new Promise((r) => server.close(r));
  await t.throwsAsync(async () => check.run?.({ host: "127.0.0.1", port }, {}, signal), { code: "ECONNREFUSED" });
});
