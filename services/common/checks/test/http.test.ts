// SPDX-License-Identifier: Apache-2.0
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test from "ava";
import { check, statusRanges } from "../http.js";

test("statuses are numbers and ranges", (t) => {
  t.deepEqual(statusRanges("200-399"), [[200, 399]]);
  t.deepEqual(statusRanges("204, 300-301"), [
    [204, 204],
    [300, 301],
  ]);
  for (const bad of ["", "20", "600", "300-200", "200-", "200,,201", "2xx"]) t.is(statusRanges(bad), null, bad);
});

test("the status decides, and the request is as HTTP wants it", async (t) => {
  const hosts: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    hosts.push(request.headers.host);
    response.writeHead(request.url === "/bad" ? 503 : 204).end();
  });
  await new Promise<void>((r) => server.listen(0, "::1", () => r()));
  const { port } = server.address() as AddressInfo;
  t.teardown(() => server.close());
  const { signal } = new AbortController();
  const ask = async (path: string, status = "200-399") =>
    check.run?.({ host: "::1", port }, { path, status, send_proxy: "off" }, signal);
  t.is(await ask("/ok"), "status 204");
  await t.throwsAsync(ask("/bad"), { message: "status 503", code: "CHECK_FAILED" });
  t.is(await ask("/bad", "503"), "status 503");
  await t.throwsAsync(ask("/ok", "200"), { message: "status 204" });
  t.deepEqual(new Set(hosts), new Set([`[::1]:${port}`]));
});
