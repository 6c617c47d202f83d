// SPDX-License-Identifier: Apache-2.0
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test from "ava";
import { runCheck } from "../../../../testbed/checks.js";
import { BODY_LIMIT, check, headerParts, statusRanges } from "../http.js";

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
    runCheck(check, { host: "::1", port }, { path, status, send_proxy: "off" }, signal);
  t.is(await ask("/ok"), "status 204");
  await t.throwsAsync(ask("/bad"), { message: "status 503", code: "CHECK_FAILED" });
  t.is(await ask("/bad", "503"), "status 503");
  await t.throwsAsync(ask("/ok", "200"), { message: "status 204" });
  t.deepEqual(new Set(hosts), new Set([`[::1]:${port}`]));
});

test("a header is a name and a value", (t) => {
  t.deepEqual(headerParts("X-Check:  a b "), ["x-check", "a b"]);
  t.deepEqual(headerParts("X-Empty:"), ["x-empty", ""]);
  for (const bad of ["no colon", "a b: c", "a: b\r\nc: d", ": x"]) t.is(headerParts(bad), null, bad);
});

test("method, Host and headers are sent as wanted; header and body of the answer count where they are expected", async (t) => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const { method, headers } = request;
    seen.push(`${method} ${headers.host} ${headers["x-check"]}`);
    response.writeHead(200, { "x-state": "ready" });
    if (request.url === "/late") response.write("x".repeat(1000));
    if (request.url === "/huge") response.write("x".repeat(2 * BODY_LIMIT));
    response.end("all is well");
  });
  await new Promise<void>((r) => server.listen(0, "127.0.0.1", () => r()));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const ask = (options: Record<string, unknown>): Promise<string> => runCheck(check, { host: "127.0.0.1", port }, options);
  const good = { http_method: "HEAD", http_host: "www.example.org", http_headers: ["X-Check: marllb"] };
  t.is(await ask({ ...good, expect_header: "X-State: ready" }), "status 200");
  t.deepEqual(seen, ["HEAD www.example.org marllb"]);
  t.is(await ask({ expect_header: "x-state:" }), "status 200");
  await t.throwsAsync(ask({ expect_header: "x-state: down" }), { message: "header x-state is another" });
  await t.throwsAsync(ask({ expect_header: "x-other: 1" }), { message: "no header x-other" });
  for (const path of ["/", "/late"]) t.is(await ask({ path, expect_body: "is well" }), "status 200");
  for (const path of ["/", "/huge"]) {
    await t.throwsAsync(ask({ path, expect_body: "is ill" }), { message: "the answer does not contain expect_body" });
  }
});
