// SPDX-License-Identifier: Apache-2.0
// marllb.v1.Inference: frames in, weights out.
import type * as grpc from "@grpc/grpc-js";
import type { Frame__Output } from "../../gen/marllb/v1/Frame.js";
import type { InferenceHandlers } from "../../gen/marllb/v1/Inference.js";
import type { SteerRequest__Output } from "../../gen/marllb/v1/SteerRequest.js";
import type { SteerResponse } from "../../gen/marllb/v1/SteerResponse.js";
import { ConfigError } from "../common/config/error.js";
import { invalid, ServiceError, toStatus, unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import { birthOf, vipKey } from "../common/identity.js";
import { decodeFrame } from "../common/native/frame.js";
import { observationShape, observe } from "../common/native/observe.js";
import { promptThread } from "../common/native/thread.js";
import { modelsFolder, policyProblem } from "../common/policies.js";
import type { CreateService } from "../common/run.js";
import { childSpan, lateSpan } from "../common/telemetry.js";
import { wireLadder } from "../common/vocabulary.js";
import { Batcher } from "./batcher.js";
import { Catalog } from "./catalog.js";
import { explain } from "./explain.js";
import { inferenceMetrics } from "./metrics.js";
import { type LastStep, Session } from "./session.js";

type Steer = grpc.ServerDuplexStream<SteerRequest__Output, SteerResponse>;

const CHECKPOINT_MS = 1000;
/** It is many times an answer's size and in no hurry: it does not go with the weights, but when these are in effect. */
const CHECKPOINT_WAIT_MS = 5;
/** So many streams keep the service warm: rehearsals would only cost. */
const WARM_STREAMS = 8;

interface Stream {
  call: Steer;
  instance: string;
  vipId: number;
  /** Whose frames it brings; another's, under the same id, have no business here. */
  key: string;
  session: Session;
  checkpointAt: number;
  /** A step runs; the newest frame that came meanwhile waits. */
  busy: boolean;
  next: Frame__Output | null;
}

export const create: CreateService = async ({ config, log, registry, clock }) => {
  promptThread();
  const { schema, server, pool } = observationShape;
  const shape = { schema, serverFeatures: server.length, poolFeatures: pool.length };
  const names = { server: server.map((f) => f.name), pool: pool.map((f) => f.name) };
  const folder = modelsFolder(config.inference.models);
  const catalog = await Catalog.open(folder, shape, log);
  for (const v of config.vips) {
    const problem = catalog.has(v.policy) ? null : policyProblem(v.policy, folder);
    if (problem !== null) throw new ConfigError([`VIP ${v.name}: policy: ${problem}`]);
  }
  const streams = new Map<Steer, Stream>();
  const batcher = new Batcher(config.inference.batch_ms, () => streams.size);
  const metrics = inferenceMetrics(registry, () => streams.size);
  const slowMs = config.tick_ms / 4;

  const newSession = (policy: string): Session =>
    new Session(policy, {
      observe,
      catalog,
      batcher,
      observationSchema: shape.schema,
      nowUs: () => clock.now() * 1000,
      onFailure(what, e) {
        metrics.failures.inc({ policy: what });
        log.warn({ policy: what, reason: (e as Error).message }, "policy failed");
      },
    });

  const checkpoint = (s: Stream): void => {
    if (streams.has(s.call) && !s.call.cancelled) s.call.write({ checkpoint: s.session.checkpoint(s.vipId) });
  };
  const answer = async (s: Stream, frame: Frame__Output): Promise<void> => {
    const start = clock.now();
    const span = childSpan("inference.steer", frame.trace);
    try {
      const weights = await s.session.step(frame);
      const now = clock.now();
      if (!frame.want_weights || s.call.cancelled) return;
      s.call.write({ weights, trace: frame.trace });
      if (now - s.checkpointAt >= CHECKPOINT_MS) {
        s.checkpointAt = now;
        setTimeout(() => checkpoint(s), CHECKPOINT_WAIT_MS);
      }
      metrics.answers.inc({ policy: weights.policy ?? "", ladder: wireLadder.word(String(weights.ladder)) });
      metrics.outOfRange.set(s.session.last?.outOfRange ?? 0);
    } catch (e) {
      metrics.refused.inc();
      log.debug({ err: e }, "frame refused");
    } finally {
      const ms = clock.now() - start;
      metrics.seconds.observe(ms / 1000);
      span?.end();
      if (!span && ms > slowMs) lateSpan("inference.steer", frame.trace, clock.unixMs() - ms, clock.unixMs());
    }
  };
  /** An answer that nobody uses; a frame that comes meanwhile waits its turn. */
  const rehearse = async (s: Stream, frame: Frame__Output): Promise<void> => {
    if (s.busy || streams.size >= WARM_STREAMS) return;
    s.busy = true;
    try {
      const weights = await s.session.rehearse(frame);
      if (!s.call.cancelled) s.call.write({ weights, rehearsal: true });
    } catch (e) {
      log.debug({ err: e }, "rehearsal");
    }
    s.busy = false;
    const { next } = s;
    s.next = null;
    if (next) await run(s, next);
  };
  const run = async (s: Stream, frame: Frame__Output): Promise<void> => {
    if (s.busy) {
      s.next = frame;
      return;
    }
    s.busy = true;
    for (let f: Frame__Output | null = frame; f !== null; s.next = null) {
      await answer(s, f);
      f = s.next;
    }
    s.busy = false;
  };
  const hello = (call: Steer, m: SteerRequest__Output): void => {
    const h = m.hello;
    if (!h) throw new ServiceError("FAILED_PRECONDITION", "message: expected a hello first");
    if (streams.has(call)) throw invalid("hello", "only one a stream");
    if (!h.vip) throw invalid("hello.vip", "is missing");
    const { vip_id: vipId, name: vip } = h.vip;
    const session = newSession(h.policy || "kalman");
    if (h.checkpoint && !session.restore(h.checkpoint)) log.warn({ instance: h.instance, vip }, "checkpoint of no use");
    streams.set(call, {
      call,
      instance: h.instance,
      vipId,
      key: vipKey(birthOf(h.vip)),
      session,
      checkpointAt: clock.now(),
      busy: false,
      next: null,
    });
    log.info({ instance: h.instance, vip, policy: session.policyName }, "steering");
    if (!catalog.get(session.policyName)) {
      const reason = catalog.whyNot(session.policyName);
      log.warn({ vip, policy: session.policyName, reason }, "the policy is not there: kalman steers");
    }
  };

  /** The stream of a frame that came on it. */
  const streamOf = (call: Steer, frame: Frame__Output): Stream => {
    const s = streams.get(call);
    if (!s) throw new ServiceError("FAILED_PRECONDITION", "message: expected a hello first");
    if (vipKey(birthOf(frame)) !== s.key)
      throw invalid("frame", `expected the VIP of the hello, found another with id ${frame.vip_id}`);
    return s;
  };

  const findStream = (instance: string, vipId: number): Stream => {
    if (vipId === 0) throw invalid("vip_id", "is missing");
    const all = [...streams.values()].filter((s) => (instance === "" || s.instance === instance) && s.vipId === vipId);
    if (all.length > 1 && instance === "" && new Set(all.map((s) => s.instance)).size > 1) {
      throw invalid("instance", `several agents are connected: ${[...new Set(all.map((s) => s.instance))].join(", ")}`);
    }
    // A stream that was cut may linger beside the one that replaced it.
    const s = all.at(-1);
    if (!s) throw new ServiceError("NOT_FOUND", `vip_id: no stream of VIP ${vipId}${instance ? ` of ${instance}` : ""}`);
    return s;
  };

  const implementation: InferenceHandlers = {
    Steer(call) {
      call.on("data", (m: SteerRequest__Output) => {
        try {
          if (m.frame) void run(streamOf(call, m.frame), m.frame);
          else if (m.rehearsal) void rehearse(streamOf(call, m.rehearsal), m.rehearsal);
          else if (m.hello || !streams.has(call)) hello(call, m);
          else throw invalid("message", "expected a frame");
        } catch (e) {
          call.emit("error", toStatus(e));
        }
      });
      const end = (): void => void streams.delete(call);
      call.on("error", end).on("cancelled", end).on("close", end);
      call.on("end", () => {
        end();
        call.end();
      });
    },
    Decide: unary(async (r) => {
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
    }),
    ListModels: unary(() => ({ models: catalog.list() })),
    GetPolicy: unary((r) => {
      const s = findStream(r.instance, r.vip_id);
      return { instance: s.instance, vip_id: s.vipId, policy: s.session.policyName };
    }),
    SetPolicy: unary((r) => {
      const s = findStream(r.instance, r.vip_id);
      const policy = catalog.need(r.policy).name;
      const previous = s.session.policyName;
      s.session.setPolicy(policy);
      s.checkpointAt = Number.NEGATIVE_INFINITY; // the choice goes to the agent with the next answer
      log.info({ instance: s.instance, vip: s.vipId, policy, previous }, "policy set");
      return { policy, previous };
    }),
    Explain: unary((r) => {
      const s = findStream(r.instance, r.vip_id);
      const last: LastStep | null = s.session.last;
      if (!last) throw new ServiceError("UNAVAILABLE", `VIP ${r.vip_id}: no frame yet`);
      return explain(last, decodeFrame(last.frame), names);
    }),
  };

  return {
    name: "marllb.v1.Inference",
    definition: v1.Inference.service,
    implementation,
    async stop() {
      for (const s of streams.values()) {
        checkpoint(s);
        s.call.end();
      }
      streams.clear();
    },
  };
};
