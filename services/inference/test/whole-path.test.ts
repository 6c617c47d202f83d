// SPDX-License-Identifier: Apache-2.0
// Policies that mean harm or are broken, through the whole path: data plane, agent, inference. What they say never leaves the envelope,
// and every request is answered. And what keeps them honest: shadow, experiment and decision log, on the same path.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as grpc from "@grpc/grpc-js";
import test, { type ExecutionContext } from "ava";
import { Origins } from "../../../testbed/origins.js";
import { freePort } from "../../../testbed/process.js";
import { Stack, type StackOptions } from "../../../testbed/stack.js";
import { goodMeta, tinyOnnx } from "../../../testbed/tiny-onnx.js";
import { eventually, sleep } from "../../../testbed/wait.js";
import { ask } from "../../common/grpc/ask.js";
import { v1 } from "../../common/grpc/protos.js";
import { identityOf } from "../../common/native/frame.js";
import { observationShape, observe } from "../../common/native/observe.js";
import { Batcher } from "../batcher.js";
import { Catalog } from "../catalog.js";
import { logFiles } from "../decision-log.js";
import { replay, ticksOf } from "../replay.js";
import { Session } from "../session.js";

const SERVERS = 4;
/** c of trust "hint": a share stays within e^-c .. e^c of the configured one. */
const C = 1.5;
const MODELS = { constant: {}, nan: { bias: Number.NaN }, loud: { loud: 1e6 }, louder: { loud: 1e30, bias: -1e30 } };

const shape = {
  serverFeatures: observationShape.server.length,
  poolFeatures: observationShape.pool.length,
  stateSize: 2,
  meta: { ...goodMeta, observation_schema: String(observationShape.schema) },
};

async function bed(
  t: ExecutionContext,
  policy: string,
  more: Partial<StackOptions["config"]> = {},
  config: StackOptions["config"] = {},
) {
  const folder = mkdtempSync(path.join(tmpdir(), "marllb-trust-"));
  for (const [name, o] of Object.entries(MODELS)) writeFileSync(path.join(folder, `${name}.onnx`), tinyOnnx({ ...shape, ...o }));
  const origins = await Origins.start(SERVERS);
  const kept = { decisions: { folder: path.join(folder, "decisions") }, experiments: path.join(folder, "experiments") };
  const s = await Stack.whole({
    servers: origins.addresses.map((address) => ({ address })),
    policy,
    threads: 1,
    config: { inference: { models: folder, ...kept, ...more }, ...config },
  });
  const credentials = grpc.credentials.createInsecure();
  const agent = new v1.ShmAgent(s.at("shm-agent"), credentials);
  const inference = new v1.Inference(s.at("inference"), credentials);
  t.teardown(async () => {
    agent.close();
    inference.close();
    await s.stop();
    origins.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const vip = () =>
    eventually("the VIP is steered", async () => {
      const [v] = (await ask(agent, "GetStatus", {}, 5000).catch(() => ({ vips: [] }))).vips;
      return v && v.source === "inference" && v.published !== "0" ? v : null;
    });
  return { s, agent, inference, vip, folder };
}

/** Ten ticks under requests; each answered, each share within bounds. */
async function bounded(t: ExecutionContext, { s, agent, vip }: Awaited<ReturnType<typeof bed>>): Promise<Set<string>> {
  const { vip_id } = await vip();
  const ladders = new Set<string>();
  for (let i = 0; i < 10; i++) {
    const answers = await Promise.all(Array.from({ length: 5 }, () => s.get()));
    t.true(answers.every((a) => /^server \d/.test(a)));
    const w = await ask(agent, "GetWeights", { vip_id }, 5000);
    ladders.add(w.ladder);
    for (const { address, weight } of w.weights)
      t.true(weight >= (0.98 * Math.exp(-C)) / SERVERS && weight <= (1.02 * Math.exp(C)) / SERVERS, `${address}: ${weight}`);
    await sleep(200);
  }
  return ladders;
}

for (const model of Object.keys(MODELS)) {
  test.serial(`a model that is ${model}: bounded by the envelope, and no request fails`, async (t) => {
    const b = await bed(t, model);
    const ladders = await bounded(t, b);
    // One that says no number is not asked twice in a tick: Kalman answers in its place.
    if (model === "nan") t.true(ladders.has("LADDER_KALMAN") && !ladders.has("LADDER_MODEL"), [...ladders].join());
  });
}

test.serial("answers that come late, and then none: the last good weights, still bounded; then the policy again", async (t) => {
  const b = await bed(t, "constant");
  await b.vip();
  const { process } = b.s.parts.get("inference") as { process: { kill(signal: string): boolean } };
  t.teardown(() => process.kill("SIGCONT"));
  let late = true;
  const limping = (async () => {
    while (late) {
      process.kill("SIGSTOP");
      await sleep(150);
      process.kill("SIGCONT");
      await sleep(100);
    }
    process.kill("SIGSTOP");
  })();
  await bounded(t, b);
  late = false;
  await limping;
  await eventually("no answer any more", async () => {
    const [v] = (await ask(b.agent, "GetStatus", {}, 5000)).vips;
    return v?.ladder === "LADDER_LAST_GOOD" || v?.ladder === "LADDER_STATIC";
  });
  await bounded(t, b).catch((e: unknown) => t.fail(String(e)));
  process.kill("SIGCONT");
  await eventually(
    "the policy decides again",
    async () => (await ask(b.agent, "GetStatus", {}, 5000)).vips[0]?.ladder === "LADDER_MODEL",
  );
});

test.serial("a shadow decides beside and is never applied; a broken one is cut off, and nobody notices", async (t) => {
  const b = await bed(t, "static");
  const { vip_id } = await b.vip();
  await ask(b.inference, "SetShadow", { vip: "web", policy: "loud" }, 5000);
  const seen = await eventually("the shadow has decided", async () => {
    const [s] = (await ask(b.inference, "GetTrust", { vip: "web" }, 5000)).shadows;
    return s && s.steps !== "0" && s.shares.length === SERVERS ? s : null;
  });
  t.like(seen, { policy: "loud", cut: "" });
  const w = await ask(b.agent, "GetWeights", { vip_id }, 5000);
  for (const { weight } of w.weights) t.true(Math.abs(weight - 1 / SERVERS) < 1e-3, "static weights are in force");
  await ask(b.inference, "SetShadow", { vip: "web", policy: "nan" }, 5000);
  const cut = await eventually("the broken shadow is cut off", async () => {
    const [s] = (await ask(b.inference, "GetTrust", { vip: "web" }, 5000)).shadows;
    return s?.policy === "nan" && s.cut !== "" ? s : null;
  });
  t.regex(cut.cut, /failed 3 times in a row: its output is not finite/);
  t.is((await b.vip()).ladder, "LADDER_MODEL");
});

test.serial("an experiment gives each policy its turn at the load balancer, and is kept with its measurements", async (t) => {
  const b = await bed(t, "kalman");
  await b.vip();
  const now = Date.now();
  const request = {
    id: "e1",
    vip: "web",
    candidate: "uniform",
    baseline: "static",
    share: 0.5,
    started_at_unix_ms: now,
    block_ms: 2000,
    seed: 3,
    deadline_unix_ms: now + 600_000,
    reason: "a trial",
  };
  await ask(b.inference, "StartExperiment", request, 5000);
  await t.throwsAsync(ask(b.inference, "StartExperiment", { ...request, id: "e2" }, 5000), {
    message: /an experiment runs already/,
  });
  await t.throwsAsync(ask(b.inference, "StartExperiment", { ...request, vip: "api", started_at_unix_ms: 0 }, 5000), {
    message: /started_at_unix_ms: expected/,
  });
  await t.throwsAsync(ask(b.inference, "StartExperiment", { ...request, vip: "api", share: 2 }, 5000), {
    message: /share: expected/,
  });
  const ruled = new Set<string>();
  await eventually("both have ruled", async () => {
    await Promise.all(Array.from({ length: 10 }, () => b.s.get()));
    ruled.add((await ask(b.agent, "GetStatus", {}, 5000)).vips[0]?.policy ?? "");
    return ruled.has("uniform") && ruled.has("static");
  });
  const { experiment } = await ask(b.inference, "StopExperiment", { vip: "web", reason: "enough" }, 5000);
  t.like(experiment, { verdict: "stopped", candidate: "uniform", reason: "a trial" });
  t.regex(experiment?.why ?? "", /^by \S+: enough$/);
  t.not(experiment?.by, "");
  await eventually(
    "the ordered policy decides again",
    async () => (await ask(b.agent, "GetStatus", {}, 5000)).vips[0]?.policy === "kalman",
  );
});

test.serial(
  "two replicas, one of them steers: the other learns of the experiment, has the same pairs, and ends with it",
  async (t) => {
    const [one, two] = [await freePort(), await freePort()];
    const address = `ipv4:127.0.0.1:${one},127.0.0.1:${two}`;
    const at = async (port: number) => ({ listen: `127.0.0.1:${port}`, metrics: `127.0.0.1:${await freePort()}`, address });
    const b = await bed(t, "kalman", {}, { services: { inference: await at(one) } });
    const other = b.s.spawnService("inference", [
      ...Object.entries(await at(two)).flatMap(([key, value]) => ["--set", `services.inference.${key}=${value}`]),
      ...["--set", `inference.experiments=${path.join(b.folder, "experiments-2")}`],
    ]);
    t.teardown(() => other.stop());
    await other.line(60_000);
    const clients = [one, two].map((port) => new v1.Inference(`127.0.0.1:${port}`, grpc.credentials.createInsecure()));
    t.teardown(() => {
      for (const c of clients) c.close();
    });
    const [first, second] = clients as [InstanceType<typeof v1.Inference>, InstanceType<typeof v1.Inference>];
    await b.vip();
    const share = (of: typeof first) => ask(of, "ShareExperiment", { vip: "web", pairs_from: 0 }, 5000);
    const now = Date.now();
    const times = { started_at_unix_ms: now, block_ms: 2000, deadline_unix_ms: now + 600_000 };
    // Whichever of them the agent chose.
    const steers = await ask(first, "GetPolicy", { instance: "", vip_id: 1 }, 5000).then(
      () => first,
      () => second,
    );
    await ask(
      steers,
      "StartExperiment",
      { id: "e1", vip: "web", candidate: "uniform", baseline: "static", share: 0.5, seed: 3, ...times },
      5000,
    );
    const follows = steers === first ? second : first;
    const traffic = setInterval(() => void Promise.all(Array.from({ length: 12 }, () => b.s.get())).catch(() => {}), 200);
    t.teardown(() => clearInterval(traffic));
    await eventually("the other has pairs", async () => (await share(follows)).pairs >= 2);
    const [a, c] = [await share(follows), await share(steers)];
    // Either of them may make the pairs, and be one ahead.
    const both = Math.min(a.given.length, c.given.length);
    t.true(both > 0);
    t.deepEqual(a.given.slice(0, both), c.given.slice(0, both));
    t.not(a.replica, c.replica);
    await ask(follows, "StopExperiment", { vip: "web", reason: "enough" }, 5000);
    await eventually("it is over at the one that steers", async () => (await share(steers)).experiment?.verdict === "stopped");
  },
);

test.serial("the decision log: every decision is made again to the bit, and another policy's can be seen", async (t) => {
  const b = await bed(t, "constant");
  await bounded(t, b);
  const folder = path.join(b.folder, "decisions");
  const files = () => logFiles(folder);
  await eventually(
    "ten ticks are kept",
    async () => files().length > 0 && [...ticksOf(files()[0] as string, identityOf)].length >= 30,
  );
  const catalog = await Catalog.open(b.folder, observationShape.schemas, { warn() {} } as never);
  const session = (policy: string) =>
    new Session(policy, {
      observe,
      catalog,
      batcher: new Batcher(0, () => 1),
      observationSchema: observationShape.schema,
      nowUs: () => 0,
      onFailure() {},
    });
  const r = await replay(files(), { identify: identityOf, session, policy: "uniform" });
  t.true(r.ticks >= 10 && r.compared === r.ticks, JSON.stringify(r));
  t.is(r.same, r.compared);
});
