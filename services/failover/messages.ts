// SPDX-License-Identifier: Apache-2.0
// failover's state as messages, and the checks of what comes in.
import type { Directive } from "../../gen/marllb/v1/Directive.js";
import type { Pool, Pool__Output } from "../../gen/marllb/v1/Pool.js";
import type { SetOverrideRequest__Output } from "../../gen/marllb/v1/SetOverrideRequest.js";
import { canonicalAddress, isIpPort } from "../common/config/address.js";
import { loopOf, type OwnVip } from "../common/config/own.js";
import { invalid } from "../common/grpc/errors.js";
import { wireMode } from "../common/vocabulary.js";
import { type AgentVip, nameOf, type PoolView } from "./core.js";
import type { Member, OverrideState, PoolState } from "./pool.js";

export const MAX_SERVERS = 1024;
const MAX_WEIGHT = 1e6;

export function poolMessage(p: PoolState): Pool {
  return {
    vip_id: p.vipId,
    name: p.name,
    managed: p.managed,
    revision: p.revision,
    servers: p.members.map((m) => ({ address: m.address, weight: m.weight, drain: m.drain })),
  };
}

/** The order for one agent's VIP: keyed by that data plane's server ids. */
export function directiveFor(agent: AgentVip, view: PoolView): Directive {
  const servers = [];
  for (const [address, share] of view.order.shares) {
    const id = agent.ids.get(address);
    if (id !== undefined && share.factor !== 1) servers.push({ server_id: id, factor: share.factor, reason: share.reason });
  }
  const { override } = view.pool;
  const entries = (override?.entries ?? []).flatMap((e) => {
    const id = agent.ids.get(e.address);
    return id === undefined ? [] : [{ id, weight: e.weight }];
  });
  return {
    vip_id: agent.vipId,
    dp_epoch: agent.dpEpoch.toString(),
    birth: agent.birth.toString(),
    term: view.pool.term,
    servers,
    state: `VIP_STATE_${view.order.status}`,
    load_balancers: view.loadBalancers,
    // Known only while all of them are seen here: two with one number would round alike.
    load_balancer: view.seen.length === view.loadBalancers ? view.seen.indexOf(nameOf(agent)) + 1 : 0,
    override:
      override && entries.length > 0
        ? {
            server_ids: entries.map((e) => e.id),
            weights: entries.map((e) => e.weight),
            mode: override.mode as "MODE_SED",
            reason: override.reason,
          }
        : null,
    fallback: view.order.fallback,
    pool: view.pool.managed ? { ...poolMessage(view.pool), vip_id: agent.vipId } : null,
  };
}

/** An address of a request's field, in the one spelling that pools use. */
export function address(text: string, field: string): string {
  if (!isIpPort(text)) throw invalid(field, `expected IP:PORT, such as 10.0.0.1:80 or [2001:db8::1]:80, found "${text}"`);
  return canonicalAddress(text);
}

export function membersOf(pool: Pool__Output): Member[] {
  if (pool.servers.length > MAX_SERVERS)
    throw invalid("pool.servers", `expected at most ${MAX_SERVERS}, found ${pool.servers.length}`);
  const seen = new Set<string>();
  return pool.servers.map((s, i) => {
    const a = address(s.address, `pool.servers[${i}].address`);
    if (seen.has(a)) throw invalid(`pool.servers[${i}].address`, `duplicate address ${s.address}`);
    seen.add(a);
    const weight = s.weight === 0 ? 1 : s.weight;
    if (!(weight > 0 && weight <= MAX_WEIGHT)) {
      throw invalid(`pool.servers[${i}].weight`, `expected more than 0 and at most ${MAX_WEIGHT}, found ${s.weight}`);
    }
    return { address: a, weight, drain: s.drain };
  });
}

/** Refuses a server that leads back to the pool's own VIP. `vips`: those whose addresses are known here. */
export function refuseLoops(members: readonly Member[], pool: string, vips: readonly OwnVip[]): void {
  const of = vips.find((v) => v.name === pool);
  if (!of) return;
  members.forEach((m, i) => {
    const loop = loopOf(vips, of, m.address);
    if (loop !== null) throw invalid(`pool.servers[${i}].address`, loop);
  });
}

export function overrideOf(r: SetOverrideRequest__Output): OverrideState {
  if (r.weights.length === 0) throw invalid("weights", "expected at least one entry; ClearOverride ends an override");
  if (r.weights.length > MAX_SERVERS)
    throw invalid("weights", `expected at most ${MAX_SERVERS} entries, found ${r.weights.length}`);
  const seen = new Set<string>();
  const entries = r.weights.map((w, i) => {
    const a = address(w.address, `weights[${i}].address`);
    if (seen.has(a)) throw invalid(`weights[${i}].address`, `duplicate address ${w.address}`);
    seen.add(a);
    if (!(w.weight >= 0 && w.weight <= MAX_WEIGHT)) {
      throw invalid(`weights[${i}].weight`, `expected 0 to ${MAX_WEIGHT}, found ${w.weight}`);
    }
    return { address: a, weight: w.weight };
  });
  if (wireMode.value(r.mode) === undefined) throw invalid("mode", `unknown mode ${r.mode}`);
  return { entries, mode: r.mode, reason: r.reason };
}
