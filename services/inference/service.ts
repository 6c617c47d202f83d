// SPDX-License-Identifier: Apache-2.0
// marllb.v1.Inference: frames in, weights out.
import { randomBytes } from "node:crypto";
import path from "node:path";
import type { DecideRequest__Output } from "../../gen/marllb/v1/DecideRequest.js";
import type { DecideResponse } from "../../gen/marllb/v1/DecideResponse.js";
import type { InferenceHandlers } from "../../gen/marllb/v1/Inference.js";
import { ConfigError } from "../common/config/error.js";
import { invalid, ServiceError, unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import { decodeFrame } from "../common/native/frame.js";
import { observationShape, observe } from "../common/native/observe.js";
import { promptThread } from "../common/native/thread.js";
import { modelsFolder, policyProblem } from "../common/policies.js";
import type { CreateService } from "../common/run.js";
import { Batcher } from "./batcher.js";
import { Catalog } from "./catalog.js";
import { explain } from "./explain.js";
import { inferenceMetrics } from "./metrics.js";
import { type LastStep, Session } from "./session.js";
import { Sharing } from "./sharing.js";
import { type Steer, Steering, type Stream } from "./steering.js";
import { shadowOf, trustHandlers, trustOfVips } from "./trust.js";
import { besideOptions, openIntake, openTrials } from "./wiring.js";

export const create: CreateService = async ({ config, log, registry, clock, stateFolder }) => {
  promptThread();
  const { schema, schemas, server, pool } = observationShape;
  const names = { server: server.map((f) => f.name), pool: pool.map((f) => f.name) };
  const folder = modelsFolder(config.inference.models);
  const catalog = await Catalog.open(folder, schemas, log);
  for (const v of config.vips) {
    const problem = catalog.has(v.policy) ? null : policyProblem(v.policy, folder);
    if (problem !== null) throw new ConfigError([`VIP ${v.name}: policy: ${problem}`]);
  }
  const streams = new Map<Steer, Stream>();
  const batcher = new Batcher(config.inference.batch_ms, () => streams.size);
  const metrics = inferenceMetrics(registry, {
    streams: () => streams.size,
    outOfRange: () => Math.max(0, ...[...streams.values()].map((s) => s.session.last?.outOfRange ?? 0)),
    policies: [...new Set(config.vips.map((v) => v.policy))],
    vips: config.vips.map((v) => v.name),
    trust: {
      vips: () => trustOfVips(streams.values(), trials, clock.unixMs()),
      shadows: () => [...streams.values()].flatMap(shadowOf),
    },
  });
  const newSession = (policy: string): Session =>
    new Session(policy, {
      observe,
      catalog,
      batcher,
      observationSchema: schema,
      nowUs: () => clock.now() * 1000,
      onFailure(what, e) {
        metrics.failures.inc({ policy: what });
        log.warn({ policy: what, reason: (e as Error).message }, "policy failed");
      },
    });

  const kept = (name: string): string => path.resolve(stateFolder, name);
  const trials = openTrials({ config, clock, log, catalog, metrics, folder: kept(config.inference.experiments) });
  const beside = besideOptions({ config, clock, log, catalog, trials, metrics, folder: kept(config.inference.decisions.folder) });
  const steering = new Steering({ catalog, clock, log, metrics, newSession, beside }, streams);
  const sessions = () => [...streams.values()].map((s) => s.session);
  const replica = randomBytes(8).toString("hex");
  const configured = config.vips.map((v) => v.name);
  const vips = (): Set<string> => new Set([...configured, ...[...streams.values()].map((s) => s.beside.vip)]);
  const sharing = new Sharing({ config, clock, log, trials, replica, vips });
  const intake = openIntake({ config, clock, log, catalog, folder, schemas, sessions });

  const implementation: InferenceHandlers = {
    Steer: (call) => steering.open(call),
    Decide: unary((r) => decideOnce(r, catalog, newSession)),
    ListModels: unary(() => ({ models: catalog.list() })),
    GetPolicy: unary((r) => {
      const s = steering.find(r.instance, r.vip_id);
      const { wanted, turnOf } = s.beside;
      return { instance: s.instance, vip_id: s.vipId, policy: s.session.policyName, wanted, turn_of: turnOf };
    }),
    Explain: unary((r) => {
      const s = steering.find(r.instance, r.vip_id);
      const last: LastStep | null = s.session.last;
      if (!last) throw new ServiceError("UNAVAILABLE", `VIP ${r.vip_id}: no frame yet`);
      return explain(last, decodeFrame(last.frame), names);
    }),
    ...trustHandlers({ trials, steering, catalog, unixMs: clock.unixMs, replica }),
  };

  return {
    name: "marllb.v1.Inference",
    definition: v1.Inference.service,
    implementation,
    whyNotReady() {
      const v = config.vips.find((vip) => catalog.get(vip.policy) === undefined);
      return v ? `VIP ${v.name}: policy ${v.policy} cannot be used, kalman answers: ${catalog.whyNot(v.policy)}` : null;
    },
    reload: { keys: ["inference.batch_ms"], apply: (c) => void (batcher.waitMs = c.inference.batch_ms) },
    async stop() {
      intake.stop();
      sharing.stop();
      steering.stop();
    },
  };
};

/** Stateless: state in, state out. */
async function decideOnce(
  r: DecideRequest__Output,
  catalog: Catalog,
  newSession: (policy: string) => Session,
): Promise<DecideResponse> {
  if (!r.frame) throw invalid("frame", "is missing");
  const session = newSession(catalog.need(r.policy || r.checkpoint?.policy || "kalman").name);
  if (r.checkpoint) {
    const wanted = session.policyName;
    if (!session.restore(r.checkpoint)) throw invalid("checkpoint.state", "is not what this service made");
    session.setPolicy(wanted);
  }
  try {
    const weights = await session.step(r.frame);
    return { weights, checkpoint: session.checkpoint(r.frame.vip_id) };
  } catch (e) {
    throw invalid("frame", (e as Error).message);
  }
}
