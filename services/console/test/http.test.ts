// SPDX-License-Identifier: Apache-2.0
// The console's server as a browser, and as somebody who means harm, meets it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { parseConfig } from "../../common/config/load.js";
import { ServiceError } from "../../common/grpc/errors.js";
import { Access } from "../access.js";
import { parseAct } from "../actions.js";
import { EventLog } from "../eventlog.js";
import { pageFiles } from "../files.js";
import { openHttp, type Route } from "../http.js";
import { LiveReaders, MAX_READERS } from "../live.js";
import { Model } from "../model.js";
import { stats, status } from "./samples.js";

const TOKEN = "0123456789abcdef";

interface Answer {
  code: number;
  headers: IncomingMessage["headers"];
  text: string;
}

async function bed(t: ExecutionContext, more = "") {
  const dir = mkdtempSync(path.join(tmpdir(), "marllb-console-"));
  const file = path.join(dir, "token");
  writeFileSync(file, `${TOKEN}\n`);
  const config = parseConfig(`console: { token_file: ${file} }\n${more}`);
  const events = new EventLog();
  const model = new Model(events, {});
  const live = new LiveReaders({ model, events, unixMs: () => 1_700_000_000_000, now: () => performance.now() });
  const asked: unknown[] = [];
  const routes = new Map<string, Route>([
    ["/api/me", { method: "GET", role: "none", answer: ({ me }) => me }],
    ["/api/big", { method: "GET", role: "read", answer: () => ({ big: "x".repeat(10_000) }) }],
    [
      "/api/act",
      {
        method: "POST",
        role: "operate",
        answer: ({ body }) => {
          asked.push(parseAct(body));
          return { text: "done" };
        },
      },
    ],
    [
      "/api/broken",
      {
        method: "GET",
        role: "read",
        answer: () => {
          throw new ServiceError("UNAVAILABLE", "store: away");
        },
      },
    ],
  ]);
  const files = pageFiles();
  const server = await openHttp(
    { config, access: new Access(config), files, routes, live, failed: () => {} },
    { host: "127.0.0.1", port: 0 },
  );
  t.teardown(async () => {
    live.stop();
    await server.stop();
    rmSync(dir, { recursive: true });
  });
  const [host, port] = server.address.split(":");
  const open = (o: RequestOptions): ClientRequest => request({ host, port, ...o });
  const ask = (p: string, o: RequestOptions = {}, body?: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const r = open({ path: p, ...o });
      r.on("error", reject).on("response", (m) => {
        let text = "";
        m.setEncoding("utf8").on("data", (d: string) => (text += d));
        m.on("end", () => resolve({ code: m.statusCode ?? 0, headers: m.headers, text }));
      });
      r.end(body);
    });
  return { ask, open, asked, model, events, live, files, host, port: Number(port) };
}

const order = JSON.stringify({ do: "drain", key: "edge1/web", address: "10.0.0.1:80", reason: "" });
const signed = { "content-type": "application/json", authorization: `Bearer ${TOKEN}` };

test("the page and everything that it loads is served from here, with nothing inline", async (t) => {
  const { ask, files } = await bed(t);
  const page = await ask("/");
  t.is(page.code, 200);
  t.regex(String(page.headers["content-security-policy"]), /default-src 'none'; script-src 'self'/);
  t.notRegex(page.text, /<script(?![^>]*src=)|\son\w+=|style="|https?:\/\//);
  for (const [url, file] of files) {
    const r = await ask(url);
    t.is(r.code, 200, url);
    if (!file.type.startsWith("text/javascript")) continue;
    for (const [, from] of r.text.matchAll(/^(?:import|export) .*?from "([^"]+)";$/gm)) {
      const target = new URL(from as string, `http://x${url}`).pathname;
      t.true(files.has(target), `${url} loads ${from}`);
    }
  }
  const again = await ask("/", { headers: { "if-none-match": String(page.headers.etag) } });
  t.is(again.code, 304);
});

test("acting takes the token; reading does not, and says what would be needed", async (t) => {
  const { ask, asked } = await bed(t);
  t.like(JSON.parse((await ask("/api/me")).text), { role: "read" });
  t.like(JSON.parse((await ask("/api/me", { headers: signed })).text), { role: "operate" });
  for (const authorization of ["", "Bearer wrong", `Basic ${TOKEN}`, `Bearer ${TOKEN}x`]) {
    const r = await ask("/api/act", { method: "POST", headers: { ...signed, authorization } }, order);
    t.is(r.code, 403, authorization);
    t.regex(r.text, /token/);
  }
  t.deepEqual(asked, []);
  t.is((await ask("/api/act", { method: "POST", headers: signed }, order)).code, 200);
  t.like(asked[0], { do: "drain", address: "10.0.0.1:80" });
});

test("another page cannot act or ask: no cookie, its origin is refused, a form's content types too", async (t) => {
  const { ask, asked } = await bed(t);
  const foreign = await ask("/api/me", { headers: { ...signed, origin: "http://evil.example" } });
  t.is(foreign.code, 403);
  const preflight = await ask("/api/act", { method: "OPTIONS", headers: { origin: "http://evil.example" } });
  t.is(preflight.code, 405);
  t.is(preflight.headers["access-control-allow-origin"], undefined);
  const form = { ...signed, "content-type": "text/plain" };
  t.is((await ask("/api/act", { method: "POST", headers: form }, order)).code, 400);
  t.deepEqual(asked, []);
});

test("a name that was made to point here is refused; addresses, localhost and the configured name are not", async (t) => {
  const { ask } = await bed(t, "services: { console: { address: Lb.example.org } }");
  const code = async (host: string) => (await ask("/api/me", { headers: { host } })).code;
  for (const host of ["evil.example", "evil.example:3000", "localhost.evil.example", "a@b", "127.0.0.1.evil.example"])
    t.is(await code(host), 421, host);
  for (const host of ["127.0.0.1:3000", "[::1]:3000", "localhost:3000", "lb.example.org", "10.1.2.3"])
    t.is(await code(host), 200, host);
});

test("what is no order, too long, no JSON or nowhere is refused with a sentence", async (t) => {
  const { ask, asked } = await bed(t);
  const post = (body: string) => ask("/api/act", { method: "POST", headers: signed }, body);
  for (const [body, what] of [
    ["{", /JSON/],
    ["[]", /order/],
    [JSON.stringify({ do: "reboot", key: "a/b" }), /do/],
    [JSON.stringify({ do: "drain", key: "a/b", reason: "" }), /address/],
    [JSON.stringify({ do: "drain", key: "a/b", address: "x", reason: "", more: 1 }), /more/],
    [JSON.stringify({ do: "pin", key: "a/b", weights: [], reason: "x" }), /weights/],
    [JSON.stringify({ do: "pin", key: "a/b", weights: [{ address: "x", weight: -1 }], reason: "x" }), /weight/],
    ["x".repeat(300_000), /at most/],
  ] as const) {
    const r = await post(body);
    t.is(r.code, 400, body.slice(0, 60));
    t.regex(r.text, what);
  }
  t.deepEqual(asked, []);
  t.is((await ask("/api/none")).code, 404);
  t.is((await ask("/page/../../../etc/passwd")).code, 404);
  t.is((await ask("/api/act")).code, 405);
  const broken = await ask("/api/broken");
  t.deepEqual([broken.code, JSON.parse(broken.text)], [503, { error: "store: away" }]);
});

test("long answers are compressed for who takes it", async (t) => {
  const { ask } = await bed(t);
  const zipped = await ask("/api/big", { headers: { "accept-encoding": "gzip" } });
  t.is(zipped.headers["content-encoding"], "gzip");
  t.true(Number(zipped.headers["content-length"]) < 500);
  t.is((await ask("/api/big")).headers["content-encoding"], undefined);
});

test("the live stream: what is now at once, what is new after it, and no more readers than are allowed", async (t) => {
  const { open, model, events, live } = await bed(t);
  model.status("lb1:50051", status("edge1"), 1_700_000_000_000);
  model.stats("lb1:50051", stats({}, [{ address: "10.0.0.1:80" }]), 1_700_000_000_000);
  const requests: ClientRequest[] = [];
  t.teardown(() => {
    for (const r of requests) r.destroy();
  });
  const read = (): Promise<IncomingMessage> =>
    new Promise((resolve) => {
      const r = open({ path: "/api/live?vip=edge1/web", agent: false });
      requests.push(r);
      r.on("error", () => {}).on("response", resolve);
      r.end();
    });
  const stream = await read();
  const chunks = stream.setEncoding("utf8")[Symbol.asyncIterator]() as AsyncIterator<string>;
  let rest = "";
  const next = async () => {
    while (!rest.includes("\n\n")) rest += (await chunks.next()).value;
    const end = rest.indexOf("\n\n");
    const message = JSON.parse(rest.slice("data: ".length, end));
    rest = rest.slice(end + 2);
    return message;
  };
  const first = await next();
  t.is(first.detail.servers[0].address, "10.0.0.1:80");
  t.deepEqual(first.events, []);
  events.add({ at: 1, key: "edge1/web", kind: "mode", tone: "note", text: "hello" });
  let told = await next();
  while (told.events.length === 0) told = await next(); // one may have been on its way
  t.like(told.events[0], { text: "hello" });
  t.deepEqual((await next()).events, [], "each event once");
  for (let i = 1; i < MAX_READERS; i++) t.is((await read()).statusCode, 200);
  t.is((await read()).statusCode, 503);
  t.is(live.size, MAX_READERS);
  for (const r of requests.slice(1, 20)) r.destroy();
  while (live.size > MAX_READERS - 19) await new Promise((resolve) => setTimeout(resolve, 20));
  t.is((await read()).statusCode, 200);
});

test("a reader that reads nothing gets no more than one message that it did not take, and is cut off", async (t) => {
  const { model, events } = await bed(t);
  let now = 0;
  let written = 0;
  let destroyed = false;
  const slow = {
    writeHead() {},
    on() {
      return slow;
    },
    write() {
      written++;
      return false;
    },
    destroy() {
      destroyed = true;
    },
    end() {},
  };
  const live = new LiveReaders({ model, events, unixMs: () => 1, now: () => now });
  t.teardown(() => live.stop());
  live.add(slow as never, "");
  now = 11_000;
  while (!destroyed) await new Promise((resolve) => setTimeout(resolve, 20));
  t.is(written, 1);
  t.deepEqual([live.size, live.cut], [0, 1]);
});

test("bytes that are no HTTP do not harm it", async (t) => {
  const { ask, host, port } = await bed(t);
  const socket = connect(port, host);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.end("\x00\xff GET / nonsense\r\n\r\n");
  socket.resume();
  await closed;
  t.is((await ask("/api/me")).code, 200);
});
