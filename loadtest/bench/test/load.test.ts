// SPDX-License-Identifier: Apache-2.0
// The load tool: what it counts.
import net from "node:net";
import test from "ava";
import { load } from "../load.js";

test("an open loop waits for the answers that it is owed, however late", async (t) => {
  const server = net.createServer((s) => {
    s.on("error", () => {});
    s.once("data", () => setTimeout(() => s.end("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), 700));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  const r = await load(address, { mode: "new", rate: 100, seconds: 0.3, warmup: 0, bytes: 3 }, 1);
  t.true(r.requests > 10, JSON.stringify(r));
  t.is(r.errors + r.timeouts, 0);
  t.true(r.p50_us > 600_000, "late answers count as late");
  await new Promise((resolve) => server.close(resolve));
});
