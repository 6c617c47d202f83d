// SPDX-License-Identifier: Apache-2.0
// As many VIPs as a region may be made for: each listens and serves, through a death and a takeover.
import { writeFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { START_MS } from "../../../testbed/process.js";
import { addressOf, ask, closeOrigin, Dp, named, origin, until } from "./bed.js";

const MOST = 1024;
const LIMITS = ["max-vips 1024", "max-servers 16384"];

test("1024 VIPs under a supervisor: it holds them all, and the next data plane serves them", async (t) => {
  t.timeout(180_000);
  const servers = await Promise.all(["a", "b"].map((n) => origin(named(n))));
  const [a, b] = servers.map(addressOf) as [string, string];
  const more = Array.from({ length: MOST - 1 }, (_, i) => [
    `vip v${i} 127.0.0.1:0`,
    `set-servers vip v${i} ${i % 2 ? b : a}`,
  ]).flat();
  const dp = await Dp.start({ servers: [a], threads: 1, lines: [...LIMITS, ...more], args: ["--supervise"] });
  t.is(dp.ports.size, MOST);
  const names = ["web", "v0", "v63", "v64", "v511", "v1021", "v1022"];
  const want = names.map((n) => (n !== "web" && Number(n.slice(1)) % 2 ? "b" : "a"));
  const answers = (): Promise<string[]> => Promise.all(names.map((n) => ask(dp.ports.get(n) as number)));
  t.deepEqual(await answers(), want);
  await t.throwsAsync(dp.control("vip one-too-many 127.0.0.1:0"), { message: /1024 VIPs already/ });
  process.kill(dp.servingPid, "SIGKILL");
  for (;;) {
    const line = JSON.parse(await dp.child.line(START_MS)) as { ready: boolean };
    if (line.ready) break;
  }
  // The same ports: the supervisor had every listener.
  await until("all serve", async () => (await answers()).join() === want.join(), 30_000);
  t.is(await dp.stop(), 0);
  await Promise.all(servers.map(closeOrigin));
});

test("a region made for more takes over from one made for less", async (t) => {
  const server = await origin(named("a"));
  const old = await Dp.start({ servers: [server] });
  await t.throwsAsync(
    (async () => {
      for (let i = 0; i < 64; i++) await old.control(`vip v${i} 127.0.0.1:0`);
    })(),
    { message: /64 VIPs already, as many as the region was made for/ },
  );
  const { file } = Dp.command({ servers: [server], port: old.port, folder: old.folder });
  writeFileSync(file, `max-vips 100\n`, { flag: "a" });
  const next = await Dp.run([...old.command, "--takeover"], old.folder);
  t.is(await ask(next.port), "a");
  await next.control("vip more 127.0.0.1:0");
  t.is(path.dirname(file), next.folder);
  await old.child.stop();
  t.is(await next.stop(), 0);
  await closeOrigin(server);
});
