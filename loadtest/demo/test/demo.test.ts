// SPDX-License-Identifier: Apache-2.0
import { get } from "node:http";
import test from "ava";
import { Histogram } from "../histogram.js";
import { judge, OpenLoop } from "../open-loop.js";
import { random } from "../random.js";
import { DemoServer } from "../server.js";

async function server(name: string): Promise<DemoServer> {
  const s = new DemoServer({ name, cores: 4, meanMs: 1, host: "127.0.0.1", port: 0, random: random(1) });
  await s.listen();
  return s;
}

function fetchText(url: string): Promise<{ name: string | undefined; body: string; status: number }> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (r) => {
      let body = "";
      r.setEncoding("utf8").on("data", (d: string) => (body += d));
      r.on("end", () => resolve({ name: r.headers["x-server"] as string | undefined, body, status: r.statusCode ?? 0 }));
    }).on("error", reject);
  });
}

test("an answer carries the server's name in header and body", async (t) => {
  const s = await server("demo-7");
  t.deepEqual(await fetchText(`http://${s.address}/?ms=1`), { name: "demo-7", body: "demo-7\n", status: 200 });
  t.deepEqual(await fetchText(`http://${s.address}/`), { name: "demo-7", body: "demo-7\n", status: 200 });
  t.is((await fetchText(`http://${s.address}/-/nothing`)).status, 404);
  await s.stop();
});

test("/-/down closes the port, and it opens again at the same address", async (t) => {
  const s = await server("demo-1");
  t.is((await fetchText(`http://${s.address}/-/down?s=0.2`)).status, 200);
  let back = false;
  for (let i = 0; i < 200 && !back; i++) {
    back = await fetchText(`http://${s.address}/?ms=0`).then(
      () => true,
      () => false,
    );
    await new Promise((r) => setTimeout(r, 50));
  }
  t.true(back);
  await s.stop();
});

test("open-loop load reaches the server; every request is accounted for", async (t) => {
  const s = await server("demo-1");
  const [host, port] = s.address.split(":") as [string, string];
  const load = new OpenLoop({ host, port: Number(port), ratePerS: 500, meanMs: 1, seed: 3 });
  load.start();
  while (load.report().answered < 100) await new Promise((r) => setTimeout(r, 20));
  await load.stop();
  const r = load.report();
  t.is(r.answered + r.failed, r.sent);
  t.is(r.failed, 0, JSON.stringify(r.failures));
  t.true(r.p50_ms > 0 && r.p50_ms <= r.p95_ms && r.p95_ms <= r.p99_ms);
  await s.stop();
  const refused = new OpenLoop({ host, port: Number(port), ratePerS: 500, meanMs: 1, seed: 3 });
  refused.start();
  while (refused.report().failed < 5) await new Promise((r) => setTimeout(r, 20));
  await refused.stop();
  t.is(refused.report().failures.ECONNREFUSED, refused.report().sent);
});

test("an answer is whole, or the reason says why not", (t) => {
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
  t.is(judge(`${head}abc`), undefined);
  t.is(judge(`${head}ab`), "cut");
  t.is(judge("HTTP/1.1 503 Busy\r\n\r\n"), "status 503");
  t.is(judge(""), "cut");
});

test("histogram percentiles are within one per cent", (t) => {
  const h = new Histogram();
  for (let i = 1; i <= 10_000; i++) h.add(i / 10);
  for (const p of [0.01, 0.5, 0.95, 0.99])
    t.true(Math.abs(h.percentile(p) / (1000 * p) - 1) < 0.011, `p${p}: ${h.percentile(p)}`);
  t.true(Math.abs(h.mean - 500.05) < 1e-6);
  t.true(Number.isNaN(new Histogram().percentile(0.5)));
});
