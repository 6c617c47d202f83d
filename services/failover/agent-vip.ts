// SPDX-License-Identifier: Apache-2.0
/** What one agent shows of one VIP. */
export interface AgentVip {
  instance: string;
  vipId: number;
  pool: string;
  dpEpoch: bigint;
  birth: bigint;
  generation: number;
  /** Where it takes the live counts of others, HOST:PORT; empty = it shares none. */
  counts: string;
  /** Its data plane closes flows by order. */
  canClose: boolean;
  /** Records of servers that left it and have flows yet. */
  leaving: readonly number[];
  /** Its data plane's list is another's by order. */
  managed: boolean;
  servers: { id: number; address: string; weight: number }[];
  /** Of servers that its data plane gives no new flows by the last order. */
  masked: readonly string[];
  ids: Map<string, number>;
  seenAt: number;
  appliedTerm: number;
  ladder: string;
}

/** Of an agent's VIP, the same at every replica. */
export const nameOf = (a: AgentVip): string => `${a.instance} ${a.vipId}`;
