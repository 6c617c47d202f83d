// SPDX-License-Identifier: Apache-2.0
import type { AgentVip } from "../agent-vip.js";

/** What an agent says of one VIP whose servers have these ids, at 10.0.0.ID:80. */
export function agent(instance: string, ids: number[], over: Partial<AgentVip> = {}): AgentVip {
  const servers = ids.map((id) => ({ id, address: `10.0.0.${id}:80`, weight: 1 }));
  return {
    instance,
    vipId: 1,
    pool: "web",
    dpEpoch: 1n,
    birth: 1n,
    generation: 1,
    counts: "",
    managed: false,
    canClose: true,
    leaving: [],
    servers,
    masked: [],
    ids: new Map(servers.map((s) => [s.address, s.id])),
    seenAt: 0,
    appliedTerm: 0,
    ladder: "LADDER_MODEL",
    ...over,
  };
}
