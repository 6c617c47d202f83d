// SPDX-License-Identifier: Apache-2.0
// marllb.v1.ShmAgent: the loop, and what people and outside controllers see of it.
import type * as grpc from "@grpc/grpc-js";
import type { ShmAgentHandlers } from "../../gen/marllb/v1/ShmAgent.js";
import type { StreamStatsRequest__Output } from "../../gen/marllb/v1/StreamStatsRequest.js";
import type { StreamStatsResponse } from "../../gen/marllb/v1/StreamStatsResponse.js";
import type { VipStatus } from "../../gen/marllb/v1/VipStatus.js";
import { failStream, invalid, ServiceError, unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import { decodeFrame } from "../common/native/frame.js";
import { attachRegion } from "../common/native/region.js";
import { promptThread } from "../common/native/thread.js";
import type { CreateService } from "../common/run.js";
import { wireLadder, wireMode, wireVipState } from "../common/vocabulary.js";
import { Agent } from "./agent.js";
import { latencyMetrics } from "./latency-metrics.js";
import { agentMetrics } from "./metrics.js";
import { pushOf } from "./push.js";
import { History, statistics } from "./stats.js";
import type { Vip } from "./vip.js";

type StatsCall = grpc.ServerWritableStream<StreamStatsRequest__Output, StreamStatsResponse>;

export const create: CreateService = ({ config, log, registry, clock }) => {
  promptThread();
  const history = new History();
  const watchers = new Map<StatsCall, { vipId: number; everyMs: number; sent: Map<number, number> }>();

  const agent = new Agent({
    config,
    log,
    clock,
    attach: attachRegion,
    decode: decodeFrame,
    onFrame(vip) {
      history.add(vip.frame);
      const now = clock.now();
      for (const [call, w] of watchers) {
        if (w.vipId !== 0 && w.vipId !== vip.id) continue;
        // A reader that is slow gets fewer messages, never older ones.
        if (now - (w.sent.get(vip.id) ?? Number.NEGATIVE_INFINITY) < w.everyMs || call.writableNeedDrain) continue;
        w.sent.set(vip.id, now);
        call.write(statsOf(vip));
      }
    },
    onEffect: (vip, ms) => metrics.effect.observe({ vip: vip.name }, ms / 1000),
  });
  const metrics = agentMetrics(registry, agent);

  const find = (vipId: number): Vip => {
    const vip = agent.vip(vipId);
    if (vip) return vip;
    if (agent.region === null) throw new ServiceError("UNAVAILABLE", `not attached to a data plane: ${agent.attachError}`);
    const known = [...agent.vips.values()].map((v) => `${v.id} (${v.name})`).join(", ");
    const there = `there ${agent.vips.size === 1 ? "is" : "are"} ${known || "none yet"}`;
    if (vipId === 0) throw invalid("vip_id", `is missing; ${there}`);
    throw new ServiceError("NOT_FOUND", `vip_id: no VIP ${vipId}; ${there}`);
  };
  const vipStatus = (vip: Vip): VipStatus => ({
    vip_id: vip.id,
    name: vip.view.name,
    address: vip.view.address,
    mode: wireMode.label(vip.view.mode),
    policy: vip.policy,
    ladder: wireLadder.label(vip.step),
    state: wireVipState.label(vip.directive.state),
    generation: vip.frame.generation,
    servers: vip.view.count,
    term: vip.directive.term.toString(),
    frame_seq: vip.frame.seq,
    published: vip.counters.published,
    refused: [...vip.counters.refused.values()].reduce((a, b) => a + b, 0) + (vip.effect?.refused ?? 0),
    last_refusal: vip.lastRefusal,
    effect_ms: vip.effectMs,
    source: vip.source,
  });
  const statsOf = (vip: Vip): StreamStatsResponse => {
    const old = history.oldest(vip.id);
    return statistics(vip, vipStatus(vip), old && old !== vip.frame ? decodeFrame(old) : null);
  };
  latencyMetrics(registry, () =>
    [...agent.vips.values()].map((vip) => ({
      stats: statsOf(vip),
      answers: {
        waitedS: Float64Array.from(vip.view.column("wait_us"), (us) => us / 1e6),
        answers: vip.view.column("answers"),
      },
    })),
  );
  const entries = (vip: Vip) =>
    vip.view.addresses().map((address, i) => {
      const id = vip.view.ids[i] as number;
      return { server_id: id, address, weight: vip.shares.get(id) ?? 0, bias: vip.biases.get(id) ?? 0 };
    });

  const implementation: ShmAgentHandlers = {
    GetStatus: unary(() => ({
      instance: config.instance,
      region: config.region.path,
      attached: agent.region !== null,
      dataplane: agent.region?.dataplane ?? "",
      dp_epoch: (agent.region?.dpEpoch ?? 0n).toString(),
      agent_epoch: (agent.region?.agentEpoch ?? 0n).toString(),
      vips: [...agent.vips.values()].map(vipStatus),
      peers: agent.peerStates(),
    })),
    StreamStats(call) {
      const { vip_id, every_ms } = call.request;
      if (vip_id !== 0) {
        try {
          find(vip_id);
        } catch (e) {
          failStream(call, e);
          return;
        }
      }
      watchers.set(call, { vipId: vip_id, everyMs: every_ms, sent: new Map() });
      const end = (): void => void watchers.delete(call);
      call.on("cancelled", end).on("close", end).on("error", end);
    },
    PushWeights: unary((r) => {
      const vip = find(r.vip_id);
      const { region } = agent;
      if (region === null) throw new ServiceError("UNAVAILABLE", `not attached to a data plane: ${agent.attachError}`);
      const before = vip.push;
      vip.push = pushOf(r, vip, clock.now());
      if (!vip.compose(region, clock.now())) {
        vip.push = before;
        throw new ServiceError("INVALID_ARGUMENT", `weights: refused by the envelope: ${vip.lastRefusal}`);
      }
      if (vip.source === "override") {
        throw new ServiceError(
          "FAILED_PRECONDITION",
          `VIP ${vip.view.name} is under an override: ${vip.directive.override?.reason ?? ""}`,
        );
      }
      return { seq: vip.seq, composed: entries(vip) };
    }),
    GetWeights: unary((r) => {
      const vip = find(r.vip_id);
      return {
        vip_id: vip.id,
        generation: vip.frame.generation,
        seq: vip.seq,
        ladder: wireLadder.label(vip.step),
        policy: vip.policy,
        weights: entries(vip),
      };
    }),
  };
  agent.start();

  return {
    name: "marllb.v1.ShmAgent",
    definition: v1.ShmAgent.service,
    implementation,
    async stop() {
      for (const call of watchers.keys()) call.end();
      agent.stop();
    },
  };
};
