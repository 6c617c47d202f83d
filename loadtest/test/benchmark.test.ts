// SPDX-License-Identifier: Apache-2.0
// deploy/benchmark.sh against servers that know nothing of it.
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import test from "ava";
import { projectRoot } from "../../services/common/root.js";

function benchmark(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(path.join(projectRoot, "deploy/benchmark.sh"), args, (e, out, err) =>
      resolve({ code: e ? Number(e.code) : 0, out, err }),
    );
  });
}

test("each mode loads any HTTP server, whatever it answers, and prints one object", async (t) => {
  const server = createServer((_, response) => response.end("any length at all"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const mode of [
    ["throughput", "--connections", "2"],
    ["latency", "--rate", "20"],
  ]) {
    const { code, out, err } = await benchmark("--mode", ...mode, "--target", target, "--duration", "1");
    t.is(code, 0, err);
    const r = JSON.parse(out) as { requests: number; errors: number; bytes: number };
    t.true(r.requests > 0);
    t.is(r.errors, 0);
    t.is(r.bytes, 17 * r.requests);
  }
  server.closeAllConnections();
  server.close();
});

test("without a server it says what is wanted, and fails", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  const { code, err } = await benchmark("--target", target, "--rate", "5", "--duration", "1");
  t.is(code, 1);
  t.regex(err, new RegExp(`HTTP server behind ${target} that answers GET /`));
});
