// SPDX-License-Identifier: Apache-2.0
// Two load balancers of a site that share counts: failover makes them known to each other, and marllbctl and /metrics show it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { marllbctl, PATIENCE } from "../../../testbed/ctl.js";
import { freePort } from "../../../testbed/process.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";

const status = async (agent: string, folder: string): Promise<string> =>
  (await marllbctl(["status", "--agent", agent, ...PATIENCE], { MARLLB_CONTEXTS: path.join(folder, "none.yaml") })).out;

test("load balancers that failover makes known to each other share counts, and one that ends is seen to be silent", async (t) => {
  const server = http.createServer((_, r) => void r.end("a"));
  await new Promise<void>((r) => server.listen(0, "127.0.0.1", r));
  const servers = [{ address: `127.0.0.1:${(server.address() as AddressInfo).port}` }];
  const keys = mkdtempSync(path.join(os.tmpdir(), "marllb-key-"));
  t.teardown(() => rmSync(keys, { recursive: true }));
  const key = path.join(keys, "key");
  writeFileSync(key, "the key of this test's site\n", { mode: 0o600 });
  const counts = async () => ({ counts: { listen: `127.0.0.1:${await freePort()}`, key_file: key } });
  const one = await Stack.whole({ servers, config: await counts() });
  const peers = { inference: one.at("inference"), health: one.at("health"), failover: one.at("failover") };
  const two = await Stack.dataPlane({ servers, peers, config: await counts() });
  try {
    await two.start("shm-agent");
    const up = new RegExp(`marllb_counts_peer_up\\{[^}]*peer="${two.instance}"[^}]*\\} (\\d)`);
    await eventually("each hears the other", async () => up.exec(await one.scrape("shm-agent"))?.[1] === "1");
    const shown = await eventually("a delay is measured", async () => {
      const out = await status(one.at("shm-agent"), one.folder);
      const [, delay] = /fresh +1 of 1 +[0-9.]+ +([0-9.]+)/.exec(out) ?? [];
      return Number(delay) > 0 && out;
    });
    t.regex(shown, /counts are shared at 127\.0\.0\.1:\d+ with 1 member\n/);
    t.true(shown.includes(two.instance), shown);
    await two.kill("shm-agent");
    await eventually("the other is silent", async () => up.exec(await one.scrape("shm-agent"))?.[1] === "0");
    t.regex(await status(one.at("shm-agent"), one.folder), /silent/);
  } finally {
    await two.stop();
    await one.stop();
    server.close();
  }
});
