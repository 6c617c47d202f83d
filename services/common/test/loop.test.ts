// SPDX-License-Identifier: Apache-2.0
// The whole loop on real TCP: weights in effect, masks, overrides, restarts of each part.
import * as grpc from "@grpc/grpc-js";
import test from "ava";
import type { GetStatusResponse__Output } from "../../../gen/marllb/v1/GetStatusResponse.js";
import type { VipStatus__Output } from "../../../gen/marllb/v1/VipStatus.js";
import { v1 } from "../grpc/protos.js";
import { eventually, Stack } from "./stack.js";

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
const status = (s: Stack): Promise<GetStatusResponse__Output> => call(new v1.ShmAgent(s.agent.grpc, insecure), "GetStatus", {});
const vipWhere = (s: Stack, what: string, ok: (v: VipStatus__Output) => boolean): Promise<VipStatus__Output> =>
  eventually(what, async () => {
    const r = await status(s).catch(() => null);
    return r?.vips.find(ok);
  });

test.serial("weights of the policy come into effect; people and controllers see and set them", async (t) => {
  const s = new Stack({ servers: 4 });
  t.teardown(() => s.down());
  await s.up();
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
  const stats = new v1.ShmAgent(s.agent.grpc, insecure);
  clients.push(stats);
  const stream = stats.StreamStats({ vip_id: 0, every_ms: 0 });
  stream.on("error", () => {});
  const seen = await new Promise<{ servers: { address: string; share: number; state: string }[] }>((r) => stream.once("data", r));
  stream.cancel();
  t.deepEqual(seen.servers.map((x) => x.address).sort(), [...s.addresses].sort());
  t.true(Math.abs(seen.servers.reduce((a, x) => a + x.share, 0) - 1) < 1e-4);

  // The policy is switched at run time, and explains itself.
  const inference = () => new v1.Inference(s.inference.grpc, insecure);
  t.is((await call<{ previous: string }>(inference(), "SetPolicy", { vip_id: v.vip_id, policy: "uniform" })).previous, "kalman");
  await vipWhere(s, "the new policy in force", (x) => x.policy === "uniform");
  const why = await call<{ servers: { reason: string }[] }>(inference(), "Explain", { vip_id: v.vip_id });
  t.is(why.servers.length, 4);
  t.regex(why.servers[0]?.reason ?? "", /the same weight for every server/);
  await t.throwsAsync(call(inference(), "SetPolicy", { vip_id: v.vip_id, policy: "nope" }), {
    message: /NOT_FOUND: policy: no policy "nope"/,
  });
  await t.throwsAsync(call(inference(), "Explain", { vip_id: 63 }), { message: /NOT_FOUND/ });

  // A push rules for its hold.
  const agent = () => new v1.ShmAgent(s.agent.grpc, insecure);
  const weights = s.addresses.map((address, i) => ({ address, weight: i === 0 ? 2 : 1 }));
  const pushed = await call<{ composed: { address: string; weight: number }[] }>(agent(), "PushWeights", {
    vip_id: v.vip_id,
    weights,
    hold_ms: 3000,
  });
  const heavy = (list: { address: string; weight: number }[]) => list.find((x) => x.address === s.addresses[0])?.weight ?? 0;
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
  const failover = () => new v1.Failover(s.failover.grpc, insecure);
  await call(failover(), "SetOverride", {
    vip_id: v.vip_id,
    weights: [{ address: s.addresses[1], weight: 1 }],
    mode: "MODE_ALIAS",
  });
  await vipWhere(s, "the override in force", (x) => x.source === "override" && x.mode === "MODE_ALIAS");
  await call(failover(), "ClearOverride", { vip_id: v.vip_id });
  await vipWhere(s, "inference after the override", (x) => x.source === "inference");

  const text = await (await fetch(`http://${s.agent.metrics}/metrics`)).text();
  t.regex(text, /marllb_server_flows_total\{[^}]*server="127\.0\.0\.1:\d+"[^}]*\} \d/);
  t.regex(text, /marllb_effect_seconds_count\{[^}]*\} [1-9]/);
});

test.serial("a dead server is masked and comes back; a drain and a managed pool reach the data plane", async (t) => {
  const s = new Stack({ servers: 4 });
  t.teardown(() => s.down());
  await s.up();
  const v = await vipWhere(s, "the loop runs", (x) => x.effect_ms > 0 && x.term !== "0");
  const failover = () => new v1.Failover(s.failover.grpc, insecure);
  type PoolNow = {
    members: { server: { address: string }; factor: number; health: string; reason: string }[];
    state: string;
    pool: { revision: string };
  };
  const pool = (): Promise<PoolNow> => call<PoolNow>(failover(), "GetPool", { vip_id: v.vip_id });
  const factor = (p: PoolNow, address: string | undefined) => p.members.find((m) => m.server.address === address)?.factor;
  await eventually("all are up", async () => (await pool()).members.every((m) => m.health === "HEALTH_FACT_UP"));

  const dead = s.servers[2];
  dead?.closeAllConnections();
  await new Promise<void>((r) => dead?.close(() => r()));
  await eventually("the dead one is masked", async () => factor(await pool(), s.addresses[2]) === 0);
  await vipWhere(s, "the agent obeys", (x) => x.state === "VIP_STATE_DEGRADED");
  const masked = await call<{ weights: { address: string; weight: number }[] }>(
    new v1.ShmAgent(s.agent.grpc, insecure),
    "GetWeights",
    { vip_id: v.vip_id },
  );
  t.is(masked.weights.find((w) => w.address === s.addresses[2])?.weight, 0);
  for (let i = 0; i < 20; i++) t.not(await s.get(), "server 2\n");

  const port = Number(s.addresses[2]?.split(":")[1]);
  await new Promise<void>((r) => dead?.listen(port, "127.0.0.1", r));
  await eventually("it is back in full", async () => factor(await pool(), s.addresses[2]) === 1);

  await call(failover(), "Drain", { vip_id: v.vip_id, address: s.addresses[0] });
  await eventually("the draining one is out", async () => {
    const w = await call<{ weights: { address: string; weight: number }[] }>(
      new v1.ShmAgent(s.agent.grpc, insecure),
      "GetWeights",
      { vip_id: v.vip_id },
    );
    return w.weights.find((x) => x.address === s.addresses[0])?.weight === 0;
  });
  await call(failover(), "Undrain", { vip_id: v.vip_id, address: s.addresses[0] });

  await s.control(`drain vip web ${s.addresses[3]}`);
  const own = await eventually("the data plane's own drain is seen", async () =>
    (await pool()).members.find((m) => m.server.address === s.addresses[3] && m.factor === 0),
  );
  t.regex(own.reason, /own list/);
  await t.throwsAsync(call(failover(), "Undrain", { vip_id: v.vip_id, address: s.addresses[3] }), {
    message: /FAILED_PRECONDITION: address: .* drains by a data plane's own list/,
  });

  const two = s.addresses.slice(0, 2).map((address) => ({ address, weight: 1 }));
  const applied = await call<{ changes: string[] }>(failover(), "ApplyPool", { pool: { vip_id: v.vip_id, servers: two } });
  t.true(applied.changes.includes("local -> managed"), applied.changes.join());
  await vipWhere(s, "the data plane has the wanted two", (x) => x.servers === 2);
  for (let i = 0; i < 10; i++) t.regex(await s.get(), /^server [01]\n$/);
  await t.throwsAsync(call(failover(), "ApplyPool", { pool: { vip_id: v.vip_id, servers: two, revision: 99 } }), {
    message: /FAILED_PRECONDITION: pool\.revision/,
  });
});

test.serial("each part is killed and comes back; connections go on, and the loop climbs back", async (t) => {
  const s = new Stack({ servers: 3 });
  t.teardown(() => s.down());
  await s.up();
  const model = (x: VipStatus__Output): boolean => x.ladder === "LADDER_MODEL" && x.effect_ms > 0;
  const v = await vipWhere(s, "the loop runs", model);
  await call(new v1.Inference(s.inference.grpc, insecure), "SetPolicy", { vip_id: v.vip_id, policy: "static" });
  await vipWhere(s, "the policy is set", (x) => x.policy === "static");

  s.inference.child.kill("SIGKILL");
  await s.inference.exited;
  await vipWhere(s, "last good weights", (x) => x.ladder === "LADDER_LAST_GOOD");
  t.regex(await s.get(), /^server/);
  await s.startInference();
  const back = await vipWhere(s, "the model again", model);
  t.is(back.policy, "static", "the chosen policy came back with the checkpoint");

  for (const part of ["health", "failover"] as const) {
    s[part].child.kill("SIGKILL");
    await s[part].exited;
    t.regex(await s.get(), /^server/);
    await (part === "health" ? s.startHealth() : s.startFailover());
    await eventually(
      `${part} is heard again`,
      async () => (await status(s)).peers.find((p) => p.name === part)?.state === "ready",
    );
  }

  s.agent.child.kill("SIGKILL");
  await s.agent.exited;
  t.regex(await s.get(), /^server/);
  await s.startAgent();
  await vipWhere(s, "a new agent took over", model);

  const old = (await status(s)).dp_epoch;
  s.dp.child.kill("SIGKILL");
  await new Promise((r) => s.dp.child.once("close", r));
  await s.startDataPlane();
  await eventually("the agent attached to the new data plane", async () => {
    const now = await status(s);
    return now.attached && now.dp_epoch !== old && now.vips.some(model);
  });
  t.regex(await s.get(), /^server/);
});

test.serial(
  "what failover ordered stays in force while it is away, over restarts of the agent and of the data plane",
  async (t) => {
    const s = new Stack({ servers: 3 });
    t.teardown(() => s.down());
    await s.up();
    const v = await vipWhere(s, "the loop runs", (x) => x.effect_ms > 0 && x.term !== "0");
    await call(new v1.Failover(s.failover.grpc, insecure), "Drain", { vip_id: v.vip_id, address: s.addresses[0] });
    const weight = async (): Promise<number | undefined> => {
      const r = await call<{ weights: { address: string; weight: number }[] }>(
        new v1.ShmAgent(s.agent.grpc, insecure),
        "GetWeights",
        { vip_id: v.vip_id },
      );
      return r.weights.find((x) => x.address === s.addresses[0])?.weight;
    };
    await eventually("the drained one is out", async () => (await weight()) === 0);
    const { term } = await vipWhere(s, "the drain's term", (x) => Number(x.published) > 0);
    s.failover.child.kill("SIGKILL");
    await s.failover.exited;

    s.agent.child.kill("SIGKILL");
    await s.agent.exited;
    await s.startAgent();
    await vipWhere(s, "the new agent composes under the old term", (x) => Number(x.published) > 2 && x.term === term);
    t.is(await weight(), 0);
    for (let i = 0; i < 20; i++) t.not(await s.get(), "server 0\n");

    const old = (await status(s)).dp_epoch;
    s.dp.child.kill("SIGKILL");
    await new Promise((r) => s.dp.child.once("close", r));
    await s.startDataPlane();
    await eventually("the new data plane is told the old term", async () => {
      const now = await status(s);
      return now.dp_epoch !== old && now.vips.some((x) => x.term === term && x.effect_ms > 0);
    });
    t.is(await weight(), 0);
    for (let i = 0; i < 20; i++) t.not(await s.get(), "server 0\n");
  },
);

test.serial("a second agent on the same region is refused with the reason", async (t) => {
  const s = new Stack({ servers: 1 });
  t.teardown(() => s.down());
  await s.up();
  await vipWhere(s, "the loop runs", (x) => x.effect_ms > 0);
  const first = s.agent;
  (s as { agent?: unknown }).agent = undefined;
  await s.startAgent();
  const second = await status(s);
  t.false(second.attached);
  const e = await t.throwsAsync(call(new v1.ShmAgent(s.agent.grpc, insecure), "GetWeights", { vip_id: 1 }));
  t.regex(e?.message ?? "", /UNAVAILABLE: not attached to a data plane: .*agent/);
  s.agent = first;
  t.true((await status(s)).attached);
});
