// SPDX-License-Identifier: Apache-2.0
// What the agent answers about itself and its VIPs, in the words of marllb.v1.
import type { CountsStatus } from "../../gen/marllb/v1/CountsStatus.js";
import type { GetStatusResponse } from "../../gen/marllb/v1/GetStatusResponse.js";
import type { VipStatus } from "../../gen/marllb/v1/VipStatus.js";
import { invalid, ServiceError } from "../common/grpc/errors.js";
import { wireLadder, wireMode, wireVipState } from "../common/vocabulary.js";
import type { Agent } from "./agent.js";
import type { Sharing } from "./counts.js";
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
  turn_of: vip.turnOf,
});

/** Datagrams that are no fault: taken, come back, or of a load balancer that has just started. */
const FINE: readonly string[] = ["heard", "own", "unproven"];

function countsStatus(sharing: Sharing): CountsStatus | null {
  const f = sharing.figures();
  if (f === null) return null;
  return {
    listen: sharing.listen,
    address: sharing.address,
    members: f.members,
    attached: f.attached,
    why_not: f.why,
    peers: f.peers.map((p) => ({
      instance: p.instance,
      address: p.address,
      fresh: p.alive,
      servers: p.servers,
      shared: p.shared,
      heard: p.heard,
      lost: p.lost,
      age_ms: p.ageMs,
      delay_ms: p.delayMs,
    })),
    refused: Object.entries(f.verdicts)
      .filter(([verdict, n]) => n > 0 && !FINE.includes(verdict))
      .map(([reason, datagrams]) => ({ reason, datagrams })),
  };
}

export const agentStatus = (agent: Agent, sharing: Sharing, instance: string, regionPath: string): GetStatusResponse => ({
  instance,
  region: regionPath,
  attached: agent.attachment.region !== null,
  why_not: agent.attachment.reason,
  dataplane: agent.attachment.region?.dataplane ?? "",
  dp_epoch: (agent.attachment.region?.dpEpoch ?? 0n).toString(),
  agent_epoch: (agent.attachment.region?.agentEpoch ?? 0n).toString(),
  vips: agent.vips().map(vipStatus),
  peers: agent.peerStates(),
  counts: countsStatus(sharing),
});

/** Shares and biases in force, one entry a member. */
export const weightEntries = (vip: Vip) =>
  vip.view.addresses().map((address, i) => {
    const id = vip.view.ids[i] as number;
    return { server_id: id, address, weight: vip.shares.get(id) ?? 0, bias: vip.biases.get(id) ?? 0 };
  });
