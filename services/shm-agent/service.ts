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
import type { RegionPort } from "./region.js";
import { serverRows, sumOf } from "./server-rows.js";
import { History, statistics } from "./stats.js";
import type { Vip } from "./vip.js";

type StatsCall = grpc.ServerWritableStream<StreamStatsRequest__Output, StreamStatsResponse>;

export const create: CreateService = ({ config, log, registry, clock }) => {
  promptThread();
  const history = new History();
  /** `vip` null: all of them. */
  const watchers = new Map<StatsCall, { vip: Vip | null; everyMs: number; sent: WeakMap<Vip, number> }>();

  const agent = new Agent({
    config,
    log,
    clock,
    attach: attachRegion,
    decode: decodeFrame,
    onFrame(vip) {
      history.add(vip);
      const now = clock.now();
      for (const [call, w] of watchers) {
        if (w.vip !== null && w.vip !== vip) continue;
        // A reader that is slow gets fewer messages, never older ones.
        if (now - (w.sent.get(vip) ?? Number.NEGATIVE_INFINITY) < w.everyMs || call.writableNeedDrain) continue;
        w.sent.set(vip, now);
        call.write(statsOf(vip));
      }
    },
    onEffect: (vip, ms) => metrics.effect.observe({ vip: vip.name }, ms / 1000),
    onGone(vip) {
      log.info({ vip: vip.name, id: vip.id }, "VIP is gone");
      metrics.effect.remove({ vip: vip.name });
      for (const [call, w] of watchers) {
        if (w.vip === vip) failStream(call, new ServiceError("NOT_FOUND", `vip_id: VIP ${vip.id} (${vip.name}) is gone`));
      }
    },
  });
  const metrics = agentMetrics(registry, agent);

  const region = (): RegionPort => {
    const { attachment } = agent;
    if (attachment.region === null) throw new ServiceError("UNAVAILABLE", `not attached to a data plane: ${attachment.reason}`);
    return attachment.region;
  };
  const find = (vipId: number): Vip => {
    const vip = agent.vip(vipId);
    if (vip) return vip;
    void region();
    const known = agent.vips().map((v) => `${v.id} (${v.name})`);
    const there = `there ${known.length === 1 ? "is" : "are"} ${known.join(", ") || "none yet"}`;
    if (vipId === 0) throw invalid("vip_id", `is missing; ${there}`);
    throw new ServiceError("NOT_FOUND", `vip_id: no VIP ${vipId}; ${there}`);
  };
  const vipStatus = (vip: Vip): VipStatus => ({
    vip_id: vip.id,
    name: vip.view.name,
    address: vip.view.address,
    mode: wireMode.label(vip.view.mode),
    policy: vip.policy,
    ladder: wireLadder.label(vip.view.ladder),
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
    const old = history.oldest(vip);
    return statistics(vip, vipStatus(vip), old && old !== vip.frame ? decodeFrame(old) : null);
  };
  latencyMetrics(registry, () =>
    agent.vips().map((vip) => ({
      stats: statsOf(vip),
      answers: { sumS: (vip.view.figures.ttfb_sum_us ?? 0) / 1e6, answers: vip.view.figures.answers ?? 0 },
      servers: serverRows(vip.view).map((row) => ({
        address: row.address,
        member: row.member,
        sumS: sumOf(vip, row, "ttfb_sum_us") / 1e6,
        answers: sumOf(vip, row, "answers"),
      })),
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
      attached: agent.attachment.region !== null,
      why_not: agent.attachment.reason,
      dataplane: agent.attachment.region?.dataplane ?? "",
      dp_epoch: (agent.attachment.region?.dpEpoch ?? 0n).toString(),
      agent_epoch: (agent.attachment.region?.agentEpoch ?? 0n).toString(),
      vips: agent.vips().map(vipStatus),
      peers: agent.peerStates(),
    })),
    StreamStats(call) {
      const { vip_id, every_ms } = call.request;
      let vip: Vip | null = null;
      try {
        if (vip_id !== 0) vip = find(vip_id);
      } catch (e) {
        failStream(call, e);
        return;
      }
      watchers.set(call, { vip, everyMs: every_ms, sent: new WeakMap() });
      const end = (): void => void watchers.delete(call);
      call.on("cancelled", end).on("close", end).on("error", end);
    },
    PushWeights: unary((r) => {
      const vip = find(r.vip_id);
      if (!vip.push(pushOf(r, vip, clock.now()), region(), clock.now())) {
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
        ladder: wireLadder.label(vip.view.ladder),
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
