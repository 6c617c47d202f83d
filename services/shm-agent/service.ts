// SPDX-License-Identifier: Apache-2.0
// marllb.v1.ShmAgent: the loop, and what people and outside controllers see of it.
import type { ShmAgentHandlers } from "../../gen/marllb/v1/ShmAgent.js";
import { failStream, ServiceError, unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import type { Registry } from "../common/metrics.js";
import { Counts } from "../common/native/counts.js";
import { decodeFrame } from "../common/native/frame.js";
import { attachRegion } from "../common/native/region.js";
import { promptThread } from "../common/native/thread.js";
import type { CreateService } from "../common/run.js";
import { systemTimers } from "../common/stream.js";
import { wireLadder } from "../common/vocabulary.js";
import { Agent } from "./agent.js";
import { agentStatus, regionOf, vipOf, vipStatus, weightEntries } from "./answers.js";
import { Sharing } from "./counts.js";
import { countsMetrics } from "./counts-metrics.js";
import { KeptFile } from "./kept-file.js";
import { latencyMetrics, type VipLatency } from "./latency-metrics.js";
import { agentMetrics } from "./metrics.js";
import { pushOf } from "./push.js";
import { type ServerRow, serverRows, sumOf } from "./server-rows.js";
import { fairness, History, statistics } from "./stats.js";
import { StatsStreams } from "./stats-streams.js";
import type { Vip } from "./vip.js";

export const create: CreateService = ({ config, log, registry, clock }) => {
  promptThread();
  const history = new History();
  const streams = new StatsStreams();
  const statsOf = (vip: Vip) => {
    const old = history.oldest(vip);
    return statistics(vip, vipStatus(vip), old && old !== vip.frame ? decodeFrame(old) : null);
  };
  const sharing = new Sharing({ config, log, timers: systemTimers(clock.now), open: (o) => new Counts(o) });
  countsMetrics(registry, () => sharing.figures());
  const agent = new Agent({
    config,
    log,
    clock,
    attach: attachRegion,
    decode: decodeFrame,
    kept: new KeptFile(config.region.path, log),
    counts: sharing.address,
    others: (vip, counts) => sharing.told(vip, counts),
    onFrame(vip) {
      history.add(vip);
      streams.onFrame(vip, clock.now(), () => statsOf(vip));
    },
    onEffect: (vip, took) => metrics.took(vip.name, took, clock.unixMs()),
    onGone(vip) {
      log.info({ vip: vip.name, id: vip.id }, "VIP is gone");
      metrics.gone(vip.name);
      streams.onGone(vip);
    },
  });
  const metrics = agentMetrics(registry, agent);
  latencyFigures(registry, agent);

  const implementation: ShmAgentHandlers = {
    GetStatus: unary(() => agentStatus(agent, sharing, config.instance, config.region.path)),
    StreamStats(call) {
      const { vip_id } = call.request;
      try {
        streams.add(call, vip_id === 0 ? null : vipOf(agent, vip_id));
      } catch (e) {
        failStream(call, e);
      }
    },
    PushWeights: unary((r) => {
      const vip = vipOf(agent, r.vip_id);
      if (!vip.push(pushOf(r, vip, clock.now()), regionOf(agent), clock.now())) {
        throw new ServiceError("INVALID_ARGUMENT", `weights: refused by the envelope: ${vip.lastRefusal}`);
      }
      if (vip.source === "override") {
        throw new ServiceError(
          "FAILED_PRECONDITION",
          `VIP ${vip.view.name} is under an override: ${vip.directive.override?.reason ?? ""}`,
        );
      }
      return { seq: vip.seq, composed: weightEntries(vip) };
    }),
    GetWeights: unary((r) => {
      const vip = vipOf(agent, r.vip_id);
      return {
        vip_id: vip.id,
        generation: vip.frame.generation,
        seq: vip.seq,
        ladder: wireLadder.label(vip.view.ladder),
        policy: vip.policy,
        weights: weightEntries(vip),
      };
    }),
  };
  agent.start();

  return {
    name: "marllb.v1.ShmAgent",
    definition: v1.ShmAgent.service,
    implementation,
    whyNotReady: () => agent.whyNotReady(),
    reload: {
      keys: ["tracing.sample_ms", "tracing.slow_ms", "inference.warm_up", "envelope", "vips", "counts.members"],
      apply(c) {
        sharing.configured(c.counts.members);
        agent.reload(c);
      },
    },
    async stop() {
      streams.end();
      sharing.stop();
      agent.stop();
    },
  };
};

function latencyFigures(registry: Registry, agent: Agent): void {
  // Several families ask in one scrape.
  const made = new WeakMap<object, VipLatency>();
  latencyMetrics(registry, () =>
    agent.vips().map((vip) => {
      const { view } = vip;
      let of = made.get(view);
      if (of === undefined) made.set(view, (of = latencyOf(vip)));
      return of;
    }),
  );
}

function latencyOf(vip: Vip): VipLatency {
  const { view } = vip;
  const mean = view.column("ttfb.dmean");
  const sum = sumOf(vip, "ttfb_sum_us");
  const servers = serverRows(vip);
  return {
    name: vip.name,
    ttfb: { counts: vip.latencies.ttfb, sumS: (view.figures.ttfb_sum_us ?? 0) / 1e6 },
    duration: { counts: vip.latencies.duration, sumS: (view.figures.duration_sum_us ?? 0) / 1e6 },
    jain: fairness(view.flows, view.weightStatic),
    servers,
    serverSumS: (i) => sum(servers[i] as ServerRow) / 1e6,
    decayedMeanS: (i) => (mean[servers[i]?.member ?? 0] as number) / 1e6,
  };
}
