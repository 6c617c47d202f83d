// SPDX-License-Identifier: Apache-2.0
// What the agent answers about itself and its VIPs, in the words of marllb.v1.
import type { GetStatusResponse } from "../../gen/marllb/v1/GetStatusResponse.js";
import type { VipStatus } from "../../gen/marllb/v1/VipStatus.js";
import { invalid, ServiceError } from "../common/grpc/errors.js";
import { wireLadder, wireMode, wireVipState } from "../common/vocabulary.js";
import type { Agent } from "./agent.js";
import type { RegionPort } from "./region.js";
import type { Vip } from "./vip.js";

/** The region that is attached; UNAVAILABLE, with the reason, without one. */
export function regionOf({ attachment }: Agent): RegionPort {
  if (attachment.region === null) throw new ServiceError("UNAVAILABLE", `not attached to a data plane: ${attachment.reason}`);
  return attachment.region;
}

/** The VIP of a request; NOT_FOUND names those that are there. */
export function vipOf(agent: Agent, vipId: number): Vip {
  const vip = agent.vip(vipId);
  if (vip) return vip;
  regionOf(agent);
  const known = agent.vips().map((v) => `${v.id} (${v.name})`);
  const there = `there ${known.length === 1 ? "is" : "are"} ${known.join(", ") || "none yet"}`;
  if (vipId === 0) throw invalid("vip_id", `is missing; ${there}`);
  throw new ServiceError("NOT_FOUND", `vip_id: no VIP ${vipId}; ${there}`);
}

export const vipStatus = (vip: Vip): VipStatus => ({
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

export const agentStatus = (agent: Agent, instance: string, regionPath: string): GetStatusResponse => ({
  instance,
  region: regionPath,
  attached: agent.attachment.region !== null,
  why_not: agent.attachment.reason,
  dataplane: agent.attachment.region?.dataplane ?? "",
  dp_epoch: (agent.attachment.region?.dpEpoch ?? 0n).toString(),
  agent_epoch: (agent.attachment.region?.agentEpoch ?? 0n).toString(),
  vips: agent.vips().map(vipStatus),
  peers: agent.peerStates(),
});

/** Shares and biases in force, one entry a member. */
export const weightEntries = (vip: Vip) =>
  vip.view.addresses().map((address, i) => {
    const id = vip.view.ids[i] as number;
    return { server_id: id, address, weight: vip.shares.get(id) ?? 0, bias: vip.biases.get(id) ?? 0 };
  });
