// SPDX-License-Identifier: Apache-2.0
// What operators ask of the service: who, why and when are kept, and what is wrong is said before anything is stored.
import test from "ava";
import { ask, context } from "../../../testbed/fuzz.js";
import { parseConfig } from "../../common/config/load.js";
import { create } from "../service.js";

const A = "10.0.0.1:80";
const CALLER = "127.0.0.1:1"; // as ask's calls say

async function service(t: { teardown(fn: () => unknown): void }, vip = "") {
  const config = parseConfig(`
vips: [{ name: web, address: "127.0.0.1:8080", servers: [{ address: "${A}" }, { address: "10.0.0.2:80" }] ${vip}}]
failover: { store: { kind: memory } }
services:
  health: { listen: "127.0.0.1:3", metrics: "127.0.0.1:4" }
`);
  const it = await create({ ...context("/nonexistent"), config });
  t.teardown(() => it.stop());
  return {
    it,
    ask: <T = Record<string, never>>(method: string, request: object) =>
      ask<T>(it, method, { vip_id: 0, name: "web", reason: "", ...request }),
  };
}

interface Changes {
  changes: { version: number; by: string; reason: string; what: string[]; at_unix_ms: number }[];
}
interface PoolAnswer {
  pool: { managed: boolean; revision: number };
  members: {
    server: { address: string; weight: number; drain: boolean };
    factor: number;
    reason: string;
    flows_unknown: string;
    holds: { by: string }[];
  }[];
  policy: { name: string } | null;
  stale: string;
}

test("every operation is kept, with who, why and what, newest first", async (t) => {
  const s = await service(t);
  const before = Date.now();
  await s.ask("Drain", { address: A, deadline_ms: 0, reason: "disk" });
  await s.ask("SetMaintenance", { address: A, on: true, reason: "swap" });
  await s.ask("Undrain", { address: A });
  t.is((await s.ask<{ previous: string }>("SetPolicy", { policy: "uniform" })).previous, "");
  t.is((await s.ask<{ previous: string }>("SetPolicy", { policy: "" })).previous, "uniform");
  await s.ask("Undrain", { address: A });
  const { changes } = await s.ask<Changes>("History", { limit: 0 });
  t.deepEqual(
    changes.map((c) => [c.version, c.by, c.reason, c.what.join()]),
    [
      [5, CALLER, "", "policy uniform -> as configured"],
      [4, CALLER, "", "policy as configured -> uniform"],
      [3, CALLER, "", `undrain ${A}`],
      [2, CALLER, "swap", `maintenance ${A}`],
      [1, CALLER, "disk", `drain ${A}`],
    ],
  );
  t.true(changes.every((c) => c.at_unix_ms >= before && c.at_unix_ms <= Date.now()));
  t.is((await s.ask<Changes>("History", { limit: 2 })).changes.length, 2);
});

test("a pool shows who holds a server and why, and that its flows are not known where no load balancer is heard", async (t) => {
  const s = await service(t);
  await s.ask("SetMaintenance", { address: A, on: true, reason: "swap" });
  const p = await s.ask<PoolAnswer>("GetPool", {});
  const m = p.members.find((x) => x.server.address === A);
  t.deepEqual([m?.factor, m?.reason, m?.holds[0]?.by, m?.server.drain], [0, "maintenance", CALLER, true]);
  t.is(m?.flows_unknown, "1 of 1 load balancers is not known here");
  t.is(p.stale, "");
});

test("an order that cannot be is refused, and leaves no trace", async (t) => {
  const s = await service(t);
  const refusal = async (method: string, request: object) =>
    ((await t.throwsAsync(s.ask(method, request), { any: true } as never)) as unknown as { details: string }).details;
  t.regex(
    await refusal("Drain", { address: "10.0.0.9:80", deadline_ms: 0 }),
    /address: 10\.0\.0\.9:80 is not known in pool web: no load balancer/,
  );
  t.regex(await refusal("Drain", { address: A, deadline_ms: 1e15 }), /deadline_ms: expected at most/);
  t.regex(await refusal("Drain", { address: A, deadline_ms: 0, reason: "a\u001b[2J" }), /reason: expected text without control/);
  t.regex(await refusal("Drain", { address: A, deadline_ms: 0, reason: "x".repeat(501) }), /reason: expected at most 500/);
  t.regex(await refusal("SetPolicy", { policy: "../x" }), /policy: expected a policy's name/);
  t.regex(await refusal("SetPolicy", { policy: "nobodys" }), /policy: no policy "nobodys"; there are .*uniform/);
  t.regex(await refusal("Drain", { address: A, deadline_ms: 0, close: true }), /close: expected with deadline_ms/);
  t.regex(await refusal("History", { name: "nope" }), /no pool "nope"/);
  t.deepEqual((await s.ask<Changes>("History", { limit: 0 })).changes, []);
});

test("the end of a drain says what holds the server yet", async (t) => {
  const s = await service(t);
  await s.ask("Drain", { address: A, deadline_ms: 0 });
  await s.ask("SetMaintenance", { address: A, on: true });
  const { holds } = await s.ask<{ holds: { kind: string }[] }>("Undrain", { address: A });
  t.deepEqual(
    holds.map((h) => h.kind),
    ["HOLD_KIND_MAINTENANCE"],
  );
});

test("the end of a drain says why the server gets no flows all the same, and the pool shows whose override it is", async (t) => {
  const s = await service(t);
  const weights = [
    { address: A, weight: 0 },
    { address: "10.0.0.2:80", weight: 2 },
  ];
  await s.ask("SetOverride", { weights, mode: "MODE_UNSPECIFIED", reason: "test" });
  const undrain = () => s.ask<{ no_flows: string }>("Undrain", { address: A });
  t.is((await undrain()).no_flows, "override weight 0");
  const { override } = await s.ask<{ override: object }>("GetPool", {});
  t.like(override, { weights, reason: "test", by: CALLER });
  await s.ask("ClearOverride", {});
  t.is((await undrain()).no_flows, "");
  await s.ask("SetMaintenance", { address: A, on: true });
  t.is((await undrain()).no_flows, "maintenance");
});

test("a drain that is ordered again answers with the deadline that stands", async (t) => {
  const s = await service(t);
  interface Answer {
    hold: { deadline_unix_ms: number; close: boolean; reason: string };
  }
  const before = Date.now();
  const { hold } = await s.ask<Answer>("Drain", { address: A, deadline_ms: 300_000, close: true, reason: "B" });
  t.true(hold.close && hold.deadline_unix_ms >= before + 300_000);
  const again = await s.ask<Answer>("Drain", { address: A, deadline_ms: 0, reason: "C" });
  t.like(again.hold, { deadline_unix_ms: hold.deadline_unix_ms, close: true, reason: "C" });
});

test("a managed pool of the configuration begins with its list, by the configuration's order", async (t) => {
  const s = await service(t, ", pool: managed");
  const pool = {
    vip_id: 0,
    name: "web",
    revision: 1,
    servers: [
      { address: A, weight: 0, drain: false },
      { address: "10.0.0.3:80", drain: false },
    ],
  };
  t.deepEqual((await s.ask<{ changes: string[] }>("ApplyPool", { pool, dry_run: true })).changes, [
    `weight of ${A}: 1 -> 0`,
    "add 10.0.0.3:80 weight 1",
    "remove 10.0.0.2:80",
  ]);
  await s.ask("ApplyPool", { pool, dry_run: false, reason: "grow" });
  const p = await s.ask<PoolAnswer>("GetPool", {});
  t.deepEqual([p.pool.managed, p.pool.revision, p.members.map((m) => m.server.weight)], [true, 2, [0, 1]]);
  const { changes } = await s.ask<Changes>("History", { limit: 0 });
  t.deepEqual(
    changes.map((c) => c.by),
    [CALLER, "configuration"],
  );
});

test("the whole history of a pool whose long lists changed a thousand times fits in a message", async (t) => {
  const s = await service(t);
  const reason = "r".repeat(500);
  for (let k = 0; k < 1000; k++) {
    const servers = Array.from({ length: 60 }, (_, i) => ({ address: `10.${k % 200}.${i}.1:80`, weight: 1, drain: false }));
    await s.ask("ApplyPool", { pool: { vip_id: 0, name: "web", revision: 0, servers }, dry_run: false, reason });
  }
  const all = await s.ask<Changes>("History", { limit: 0 });
  t.is(all.changes[0]?.version, 1000);
  t.true(all.changes.length >= 400);
  t.true(Buffer.byteLength(JSON.stringify(all)) < 1 << 20);
});

test("without health it is not ready, and says so", async (t) => {
  const { it } = await service(t);
  t.regex(it.whyNotReady() ?? "", /health has not said anything/);
});
