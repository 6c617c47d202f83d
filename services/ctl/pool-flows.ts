// SPDX-License-Identifier: Apache-2.0
// Flows of a pool's servers over all load balancers, from what several failover replicas hear of them. Each load balancer speaks to one
// replica; what nobody hears is unknown, which is not 0.
import type { GetPoolResponse__Output } from "../../gen/marllb/v1/GetPoolResponse.js";

export interface PoolFlows {
  flows: number;
  /** Why there may be more; empty = there are not. */
  unknown: string;
}

type Said = GetPoolResponse__Output["load_balancers"][number];

/** By address. `silent`: failover replicas that did not answer. */
export function poolFlows(answers: readonly GetPoolResponse__Output[], silent = 0): Map<string, PoolFlows> {
  const byInstance = new Map<string, { said: Said; pool: GetPoolResponse__Output }>();
  const clashes = new Set<string>();
  for (const pool of answers) {
    for (const said of pool.load_balancers) {
      const before = byInstance.get(said.instance);
      // A stream ends before the next one is opened, elsewhere.
      if (said.heard && before?.said.heard) clashes.add(said.instance);
      if (!before || (said.heard && !before.said.heard)) byInstance.set(said.instance, { said, pool });
    }
  }
  const expected = Math.max(1, byInstance.size, ...answers.map((p) => p.expected_load_balancers));
  const missing = expected - byInstance.size;
  const reasons = [...byInstance.values()].flatMap(({ said }) => (said.unknown === "" ? [] : [said.unknown]));
  for (const name of clashes) reasons.push(`two load balancers are named ${name}, or its stream has just moved; one is counted`);
  if (missing > 0) reasons.push(`${missing} of ${expected} load balancers ${missing === 1 ? "is" : "are"} heard nowhere`);
  if (silent > 0 && reasons.length > 0)
    reasons.push(`${silent} failover ${silent === 1 ? "replica does" : "replicas do"} not answer`);
  const addresses = new Set(answers.flatMap((p) => p.members.map((m) => m.server?.address ?? "")));
  const out = new Map<string, PoolFlows>();
  for (const address of addresses) {
    let flows = 0;
    for (const { said, pool } of byInstance.values()) {
      const i = pool.members.findIndex((m) => m.server?.address === address);
      if (said.heard) flows += said.flows[i] ?? 0;
    }
    out.set(address, { flows, unknown: reasons.join("; ") });
  }
  return out;
}

/** As people read it: "3", or "3+" where there may be more. */
export const flowsText = (f: PoolFlows | undefined): string =>
  f === undefined ? "?" : `${f.flows}${f.unknown === "" ? "" : "+"}`;
