// SPDX-License-Identifier: Apache-2.0
// Many connections at once through one marllb-dp: every one is served, again and again, through a change of weights and of the list.
import { readFileSync } from "node:fs";
import test from "ava";
import { Child, nativeBin } from "../../../testbed/process.js";
import { Dp, type VipStats } from "./bed.js";

/** A process may have so many descriptors. */
function descriptors(): number {
  const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? "0";
  return limit === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(limit);
}

const PER_PROCESS = 5000;
const ORIGINS = 4;

// A worker has a descriptor table of its own, so the limit holds for each.
for (const { connections, threads, needs } of [
  { connections: 9000, threads: 1, needs: 19_000 },
  { connections: 20_000, threads: 4, needs: 15_000 },
]) {
  const run = descriptors() >= needs ? test.serial : test.serial.skip;
  run(`${connections} connections at once, ${threads} thread(s) (needs ${needs} descriptors each)`, async (t) => {
    t.timeout(180_000);
    const origins = Array.from({ length: ORIGINS }, () => new Child(serve));
    t.teardown(() => Promise.all(origins.map((o) => o.stop())));
    const servers: string[] = [];
    for (const o of origins) servers.push(`127.0.0.1:${(JSON.parse(await o.line()) as { port: number }).port}`);
    const dp = await Dp.start({ servers, threads });
    t.teardown(() => dp.stop());
    const before = dp.residentKiB();

    const clients: Child[] = [];
    t.teardown(() => Promise.all(clients.map((c) => c.stop())));
    for (let left = connections; left > 0; left -= PER_PROCESS)
      clients.push(new Child(hold(dp.port, Math.min(left, PER_PROCESS))));
    let held = 0;
    for (const c of clients) held += (JSON.parse(await c.line(120_000)) as { held: number }).held;
    t.is(held, connections);
    const full = await dp.statsWhen("all are counted", (s) => s.connections === connections && sum(s) === connections, 60_000);
    t.is(sum(full), connections);
    t.true(full.servers.every((x) => x.resets + x.aborts + x.refusals + x.unanswered === 0));
    t.true(
      full.servers.every((s) => Math.abs(s.flows - connections / ORIGINS) < connections / 100),
      "SED spreads them evenly",
    );
    t.true(dp.residentKiB() - before < connections, "less than 1 KiB each");

    await dp.control(`server vip web ${servers[0]} weight 5`);
    await dp.control(`drain vip web ${servers[1]}`);
    // New requests on new connections are served beside those that are held.
    const busy = new Child([...load(dp.port), "--mode", "keepalive", "--conns", "50", "--rate", "500", "--seconds", "2"]);
    t.teardown(() => busy.stop());
    const r = JSON.parse(await busy.line(60_000)) as { requests: number; errors: number; timeouts: number };
    t.true(r.requests > 0);
    t.deepEqual([r.errors, r.timeouts], [0, 0]);
    const s = await dp.statsWhen("only the held ones are left", (x) => sum(x) === connections, 60_000);
    for (const [i, server] of s.servers.entries())
      t.is(server.flows, full.servers[i]?.flows as number, `${server.address}: none has moved`);
    t.is(s.recountDiff, 0);

    for (const c of clients) await c.stop();
    await dp.statsWhen("all are gone", (x) => x.connections === 0 && x.servers.every((y) => y.flows === 0), 60_000);
  });
}

const sum = (s: VipStats): number => s.servers.reduce((n, x) => n + x.flows, 0);
const serve = [nativeBin("marllb-load"), "serve", "--listen", "127.0.0.1:0", "--stop-with-stdin"];
const load = (port: number): string[] => [nativeBin("marllb-load"), "run", "--connect", `127.0.0.1:${port}`, "--bytes", "512"];
const hold = (port: number, n: number): string[] => [...load(port), "--mode", "idle", "--conns", String(n)];
