// SPDX-License-Identifier: Apache-2.0
// The whole loop on real TCP: weights in effect, masks, overrides, restarts of each part.
import * as grpc from "@grpc/grpc-js";
import test, { type ExecutionContext } from "ava";
import type { GetStatusResponse__Output } from "../../../gen/marllb/v1/GetStatusResponse.js";
import type { VipStatus__Output } from "../../../gen/marllb/v1/VipStatus.js";
import { Origins } from "../../../testbed/origins.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";
import { v1 } from "../grpc/protos.js";

/** The loop with HTTP servers behind it, health and failover quick; stopped when the test is over. */
async function loop(t: ExecutionContext, servers: number): Promise<{ s: Stack; origins: Origins }> {
  const origins = await Origins.start(servers);
  t.teardown(() => origins.stop());
  const s = await Stack.whole({
    servers: origins.addresses.map((address) => ({ address })),
    threads: 2,
    lines: ["drain-timeout 0ms"],
    config: { health: { interval_ms: 100, timeout_ms: 100, rise: 1, fall: 2 }, failover: { slow_start_ms: 300 } },
  });
  t.teardown(() => s.stop());
  return { s, origins };
}

const insecure = grpc.credentials.createInsecure();
const clients: grpc.Client[] = [];
test.afterEach.always(() => {
  for (const c of clients.splice(0)) c.close();
});

interface Unary {
  [method: string]: (request: object, options: object, callback: (e: grpc.ServiceError | null, r: never) => void) => void;
}
/** One unary call by name; rejects with gRPC's error. */
function call<T>(client: grpc.Client, method: string, request: object): Promise<T> {
  clients.push(client);
  return new Promise((resolve, reject) => {
    (client as unknown as Unary)[method]?.call(client, request, { deadline: Date.now() + 10_000 }, (e, r) =>
      e ? reject(e) : resolve(r as T),
    );
  });
}
const status = (s: Stack): Promise<GetStatusResponse__Output> =>
  call(new v1.ShmAgent(s.at("shm-agent"), insecure), "GetStatus", {});
const vipWhere = (s: Stack, what: string, ok: (v: VipStatus__Output) => boolean): Promise<VipStatus__Output> =>
  eventually(what, async () => {
    const r = await status(s).catch(() => null);
    return r?.vips.find(ok);
  });

test.serial("weights of the policy come into effect; people and controllers see and set them", async (t) => {
  const { s, origins } = await loop(t, 4);
  const v = await vipWhere(s, "a weight vector of the policy in effect", (x) => x.ladder === "LADDER_MODEL" && x.effect_ms > 0);
  t.deepEqual([v.name, v.policy, v.source, v.servers, v.state], ["web", "kalman", "inference", 4, "VIP_STATE_NORMAL"]);
  t.regex(await s.get(), /^server \d/);
  const st = await status(s);
  t.deepEqual(
    st.peers.map((p) => [p.name, p.state]),
    [
      ["inference", "ready"],
      ["health", "ready"],
      ["failover", "ready"],
    ],
  );

  // Decoded statistics.
  const stats = new v1.ShmAgent(s.at("shm-agent"), insecure);
  clients.push(stats);
  const stream = stats.StreamStats({ vip_id: 0, every_ms: 0 });
  stream.on("error", () => {});
  const seen = await new Promise<{ servers: { address: string; share: number; state: string }[] }>((r) => stream.once("data", r));
  stream.cancel();
  t.deepEqual(seen.servers.map((x) => x.address).sort(), [...origins.addresses].sort());
  t.true(Math.abs(seen.servers.reduce((a, x) => a + x.share, 0) - 1) < 1e-4);

  // The policy is switched at run time, and explains itself.
  const inference = () => new v1.Inference(s.at("inference"), insecure);
  const chooser = () => new v1.Failover(s.at("failover"), insecure);
  t.is((await call<{ previous: string }>(chooser(), "SetPolicy", { vip_id: v.vip_id, policy: "uniform" })).previous, "");
  await vipWhere(s, "the new policy in force", (x) => x.policy === "uniform");
  const why = await call<{ servers: { reason: string }[] }>(inference(), "Explain", { vip_id: v.vip_id });
  t.is(why.servers.length, 4);
  t.regex(why.servers[0]?.reason ?? "", /the same weight for every server/);
  await t.throwsAsync(call(chooser(), "SetPolicy", { vip_id: v.vip_id, policy: "no/pe" }), {
    message: /INVALID_ARGUMENT: policy: expected a policy's name/,
  });
  await t.throwsAsync(call(inference(), "Explain", { vip_id: 63 }), { message: /NOT_FOUND/ });

  // A push rules for its hold.
  const agent = () => new v1.ShmAgent(s.at("shm-agent"), insecure);
  const weights = origins.addresses.map((address, i) => ({ address, weight: i === 0 ? 2 : 1 }));
  const pushed = await call<{ composed: { address: string; weight: number }[] }>(agent(), "PushWeights", {
    vip_id: v.vip_id,
    weights,
    hold_ms: 3000,
  });
  const heavy = (list: { address: string; weight: number }[]) =>
    list.find((x) => x.address === origins.addresses[0])?.weight ?? 0;
  // The envelope limits each step by the time since the last one, so the first may be small; the next ticks go on to 2 of 5.
  t.true(heavy(pushed.composed) > 0.25 && heavy(pushed.composed) <= 0.4001, JSON.stringify(pushed.composed));
  await eventually("the push in full", async () => {
    const r = await call<{ weights: { address: string; weight: number }[] }>(agent(), "GetWeights", { vip_id: v.vip_id });
    return Math.abs(heavy(r.weights) - 0.4) < 0.001 || undefined;
  });
  await vipWhere(s, "inference again after the hold", (x) => x.source === "inference");
  await t.throwsAsync(call(agent(), "PushWeights", { vip_id: v.vip_id, weights: [{ server_id: 1, weight: Number.NaN }] }), {
    message: /INVALID_ARGUMENT: weights\[0\]/,
  });

  // An operator's override wins and stays, until cleared.
  const failover = () => new v1.Failover(s.at("failover"), insecure);
  await call(failover(), "SetOverride", {
    vip_id: v.vip_id,
    weights: [{ address: origins.addresses[1], weight: 1 }],
    mode: "MODE_ALIAS",
  });
  await vipWhere(s, "the override in force", (x) => x.source === "override" && x.mode === "MODE_ALIAS");
  await call(failover(), "ClearOverride", { vip_id: v.vip_id });
  await vipWhere(s, "inference after the override", (x) => x.source === "inference");

  const text = await s.scrape("shm-agent");
  t.regex(text, /marllb_server_flows_total\{[^}]*server="127\.0\.0\.1:\d+"[^}]*\} \d/);
  t.regex(text, /marllb_effect_seconds_count\{[^}]*\} [1-9]/);
});

test.serial("a dead server is masked and comes back; a drain and a managed pool reach the data plane", async (t) => {
  const { s, origins } = await loop(t, 4);
  const v = await vipWhere(s, "the loop runs", (x) => x.effect_ms > 0 && x.term !== "0");
  const failover = () => new v1.Failover(s.at("failover"), insecure);
  type PoolNow = {
    members: { server: { address: string }; factor: number; health: string; reason: string }[];
    state: string;
    pool: { revision: string };
  };
  const pool = (): Promise<PoolNow> => call<PoolNow>(failover(), "GetPool", { vip_id: v.vip_id });
  const factor = (p: PoolNow, address: string | undefined) => p.members.find((m) => m.server.address === address)?.factor;
  await eventually("all are up", async () => (await pool()).members.every((m) => m.health === "HEALTH_FACT_UP"));

  await origins.close(2);
  await eventually("the dead one is masked", async () => factor(await pool(), origins.addresses[2]) === 0);
  await vipWhere(s, "the agent obeys", (x) => x.state === "VIP_STATE_DEGRADED");
  const masked = await call<{ weights: { address: string; weight: number }[] }>(
    new v1.ShmAgent(s.at("shm-agent"), insecure),
    "GetWeights",
    { vip_id: v.vip_id },
  );
  t.is(masked.weights.find((w) => w.address === origins.addresses[2])?.weight, 0);
  for (let i = 0; i < 20; i++) t.not(await s.get(), "server 2\n");

  await origins.open(2);
  await eventually("it is back in full", async () => factor(await pool(), origins.addresses[2]) === 1);

  await call(failover(), "Drain", { vip_id: v.vip_id, address: origins.addresses[0] });
  await eventually("the draining one is out", async () => {
    const w = await call<{ weights: { address: string; weight: number }[] }>(
      new v1.ShmAgent(s.at("shm-agent"), insecure),
      "GetWeights",
      { vip_id: v.vip_id },
    );
    return w.weights.find((x) => x.address === origins.addresses[0])?.weight === 0;
  });
  await call(failover(), "Undrain", { vip_id: v.vip_id, address: origins.addresses[0] });

  await s.control(`drain vip web ${origins.addresses[3]}`);
  const own = await eventually("the data plane's own drain is seen", async () =>
    (await pool()).members.find((m) => m.server.address === origins.addresses[3] && m.factor === 0),
  );
  t.regex(own.reason, /own list/);
  await t.throwsAsync(call(failover(), "Undrain", { vip_id: v.vip_id, address: origins.addresses[3] }), {
    message: /FAILED_PRECONDITION: address: .* drains by a data plane's own list/,
  });

  const two = origins.addresses.slice(0, 2).map((address) => ({ address, weight: 1 }));
  const applied = await call<{ changes: string[] }>(failover(), "ApplyPool", { pool: { vip_id: v.vip_id, servers: two } });
  t.true(applied.changes.includes("local -> managed"), applied.changes.join());
  await vipWhere(s, "the data plane has the wanted two", (x) => x.servers === 2);
  for (let i = 0; i < 10; i++) t.regex(await s.get(), /^server [01]\n$/);
  await t.throwsAsync(call(failover(), "ApplyPool", { pool: { vip_id: v.vip_id, servers: two, revision: 99 } }), {
    message: /FAILED_PRECONDITION: pool\.revision/,
  });
});

test.serial("each part is killed and comes back; connections go on, and the loop climbs back", async (t) => {
  const { s } = await loop(t, 3);
  const model = (x: VipStatus__Output): boolean => x.ladder === "LADDER_MODEL" && x.effect_ms > 0;
  const v = await vipWhere(s, "the loop runs", model);
  await call(new v1.Failover(s.at("failover"), insecure), "SetPolicy", { vip_id: v.vip_id, policy: "static" });
  await vipWhere(s, "the policy is set", (x) => x.policy === "static");

  await s.kill("inference");
  await vipWhere(s, "last good weights", (x) => x.ladder === "LADDER_LAST_GOOD");
  t.regex(await s.get(), /^server/);
  await s.start("inference");
  const back = await vipWhere(s, "the model again", model);
  t.is(back.policy, "static", "the chosen policy is in force again");

  for (const part of ["health", "failover"] as const) {
    await s.kill(part);
    t.regex(await s.get(), /^server/);
    await s.start(part);
    await eventually(
      `${part} is heard again`,
      async () => (await status(s)).peers.find((p) => p.name === part)?.state === "ready",
    );
  }

  await s.kill("shm-agent");
  t.regex(await s.get(), /^server/);
  await s.start("shm-agent");
  await vipWhere(s, "a new agent took over", model);

  const old = (await status(s)).dp_epoch;
  await s.kill("dataplane");
  await s.start("dataplane");
  await eventually("the agent attached to the new data plane", async () => {
    const now = await status(s);
    return now.attached && now.dp_epoch !== old && now.vips.some(model);
  });
  t.regex(await s.get(), /^server/);
});

test.serial(
  "what failover ordered stays in force while it is away, over restarts of the agent and of the data plane",
  async (t) => {
    const { s, origins } = await loop(t, 3);
    const v = await vipWhere(s, "the loop runs", (x) => x.effect_ms > 0 && x.term !== "0");
    await call(new v1.Failover(s.at("failover"), insecure), "Drain", { vip_id: v.vip_id, address: origins.addresses[0] });
    const weight = async (): Promise<number | undefined> => {
      const r = await call<{ weights: { address: string; weight: number }[] }>(
        new v1.ShmAgent(s.at("shm-agent"), insecure),
        "GetWeights",
        { vip_id: v.vip_id },
      );
      return r.weights.find((x) => x.address === origins.addresses[0])?.weight;
    };
    await eventually("the drained one is out", async () => (await weight()) === 0);
    const { term } = await vipWhere(s, "the drain's term", (x) => Number(x.published) > 0);
    await s.kill("failover");

    await s.kill("shm-agent");
    await s.start("shm-agent");
    await vipWhere(s, "the new agent composes under the old term", (x) => Number(x.published) > 2 && x.term === term);
    t.is(await weight(), 0);
    for (let i = 0; i < 20; i++) t.not(await s.get(), "server 0\n");

    const old = (await status(s)).dp_epoch;
    await s.kill("dataplane");
    await s.start("dataplane");
    await eventually("the new data plane is told the old term", async () => {
      const now = await status(s);
      return now.dp_epoch !== old && now.vips.some((x) => x.term === term && x.effect_ms > 0);
    });
    t.is(await weight(), 0);
    for (let i = 0; i < 20; i++) t.not(await s.get(), "server 0\n");
  },
);

test.serial("a second agent on the same region is refused with the reason", async (t) => {
  const { s } = await loop(t, 1);
  await vipWhere(s, "the loop runs", (x) => x.effect_ms > 0);
  const child = s.spawnService("shm-agent", ["--port", "0", "--metrics-port", "0"]);
  t.teardown(() => child.stop());
  const { grpc: address } = JSON.parse(await child.line(60_000)) as { grpc: string };
  const second = await call<GetStatusResponse__Output>(new v1.ShmAgent(address, insecure), "GetStatus", {});
  t.false(second.attached);
  const e = await t.throwsAsync(call(new v1.ShmAgent(address, insecure), "GetWeights", { vip_id: 1 }));
  t.regex(e?.message ?? "", /UNAVAILABLE: not attached to a data plane: .*agent/);
  t.true((await status(s)).attached);
});
