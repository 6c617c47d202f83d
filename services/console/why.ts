// SPDX-License-Identifier: Apache-2.0
// Why a VIP is on its step of the ladder, in one sentence. Pure.
import type { Peer, VipBrief } from "./wire.js";

interface Facts extends Pick<VipBrief, "policy" | "source" | "state" | "effectMs"> {
  /** The wire's label. */
  label: string;
}

export interface Known {
  peers: readonly Peer[];
  /** An override's reason. */
  override: string;
  /** Why the policy could not decide, as inference says it; empty: not known. */
  failure: string;
  /** The last vector that was refused. */
  refusal: string;
}

const away = (peers: readonly Peer[], name: string): string => {
  const p = peers.find((x) => x.name === name);
  return p && p.state !== "ready" ? ` (${name} at ${p.address} is ${p.state})` : "";
};

export function whyLadder(v: Facts, k: Known): string {
  if (v.source === "override") return `an operator set the weights${k.override === "" ? "" : `: ${k.override}`}`;
  if (v.source === "push") return "weights were pushed over gRPC, and hold for a while";
  switch (v.label) {
    case "LADDER_MODEL":
      return `${v.policy} decides, in effect ${v.effectMs.toFixed(1)} ms after the frame`;
    case "LADDER_KALMAN":
      return `${v.policy} could not decide${k.failure === "" ? "" : `: ${k.failure}`}; Kalman's weights stand in`;
    case "LADDER_LAST_GOOD":
      return k.refusal === "" || away(k.peers, "inference") !== ""
        ? `inference did not answer${away(k.peers, "inference")}: the last good weights stay`
        : `the answer could not be used (${k.refusal}): the last good weights stay`;
    case "LADDER_STATIC":
      if (v.source === "fallback") return `failover ordered the configured weights: the pool is ${v.state}`;
      return `no answer of inference for a long time${away(k.peers, "inference")}: the configured weights`;
    case "LADDER_STATIC_DP":
      return "the data plane hears no agent: it took the configured weights by itself";
    default:
      return "the load balancer does not say";
  }
}
