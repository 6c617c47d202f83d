// SPDX-License-Identifier: Apache-2.0
// failover's state as messages, and the checks of what comes in.
import type { Directive } from "../../gen/marllb/v1/Directive.js";
import type { Hold as HoldMessage } from "../../gen/marllb/v1/Hold.js";
import type { Pool, Pool__Output } from "../../gen/marllb/v1/Pool.js";
import type { PoolOverride } from "../../gen/marllb/v1/PoolOverride.js";
import type { SetOverrideRequest__Output } from "../../gen/marllb/v1/SetOverrideRequest.js";
import { canonicalAddress, isIpPort } from "../common/config/address.js";
import { loopOf, type OwnVip } from "../common/config/own.js";
import { invalid } from "../common/grpc/errors.js";
import { wireMode } from "../common/vocabulary.js";
import { type AgentVip, nameOf } from "./agent-vip.js";
import type { PoolView } from "./core.js";
import type { Hold, OverrideOrder, Stamp } from "./intent.js";
import type { WantedMember } from "./operations.js";

export const MAX_SERVERS = 1024;
const MAX_WEIGHT = 1e6;
/** The least that a data plane takes; a server of weight 0 is masked beside. */
const LEAST_WEIGHT = 1e-6;
const MAX_REASON = 500;

/** The pool as an operator sees it. */
export function poolMessage(view: Pick<PoolView, "vipId" | "intent" | "order">): Pool {
  const { intent, order } = view;
  const held = new Set(intent.holds.map((h) => h.address));
  return {
    vip_id: view.vipId,
    name: intent.pool,
    managed: intent.managed,
    revision: intent.version,
    servers: order.members.map(({ address, weight }) => ({ address, weight, drain: held.has(address) })),
  };
}

const HOLD_KINDS = { drain: "HOLD_KIND_DRAIN", maintenance: "HOLD_KIND_MAINTENANCE" } as const;

export const holdMessage = (h: Hold): HoldMessage => ({
  kind: HOLD_KINDS[h.kind],
  by: h.by,
  reason: h.reason,
  at_unix_ms: h.at,
  deadline_unix_ms: h.deadline ?? 0,
  close: h.close,
});

export const overrideMessage = (o: OverrideOrder): PoolOverride => ({
  weights: o.entries.map(({ address, weight }) => ({ address, weight })),
  mode: o.mode as "MODE_SED",
  reason: o.reason,
  by: o.by,
  at_unix_ms: o.at,
});

/** The list for one agent's data plane; null: its own owner stands. */
function poolFor(agent: AgentVip, view: PoolView): Pool | null {
  if (view.listRevision === null) return null;
  const { servers = [], ...pool } = poolMessage(view);
  const managed = view.source !== "data plane";
  const list = managed ? servers.map((s) => ({ ...s, weight: Math.max(LEAST_WEIGHT, s.weight as number) })) : [];
  return { ...pool, managed, revision: view.listRevision, vip_id: agent.vipId, servers: list };
}

/** The order for one agent's VIP: keyed by that data plane's server ids. */
export function directiveFor(agent: AgentVip, view: PoolView): Directive {
  const servers = [];
  for (const [address, share] of view.order.shares) {
    const id = agent.ids.get(address);
    const { lastResort, ...said } = share;
    if (id !== undefined && share.factor !== 1)
      servers.push({ server_id: id, ...said, ...(lastResort && { last_resort: true }) });
  }
  if (view.closeRemoved)
    for (const id of agent.leaving) servers.push({ server_id: id, factor: 0, reason: "removed", close: true });
  const { override, policy } = view.intent;
  const entries = (override?.entries ?? []).flatMap((e) => {
    const id = agent.ids.get(e.address);
    return id === undefined ? [] : [{ id, weight: e.weight }];
  });
  return {
    vip_id: agent.vipId,
    dp_epoch: agent.dpEpoch.toString(),
    birth: agent.birth.toString(),
    term: view.term,
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
    pool: poolFor(agent, view),
    policy: policy?.name ?? "",
    generation: agent.generation,
    newcomers_wait: view.newcomersWait,
  };
}

/** Where the others of a pool take live counts; each once, however many of its VIPs have the pool. */
export const countsOf = (agent: AgentVip, pool: readonly AgentVip[]): string[] => [
  ...new Set(pool.filter((a) => a.instance !== agent.instance && a.counts !== "").map((a) => a.counts)),
];

/** Why, in an operator's words. They are printed on terminals and kept in the history. */
export function reasonOf(text: string): string {
  if (text.length > MAX_REASON) throw invalid("reason", `expected at most ${MAX_REASON} characters, found ${text.length}`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\u0000-\u001f\u007f-\u009f]/.test(text)) throw invalid("reason", "expected text without control characters");
  return text;
}

export function policyOf(text: string): string {
  if (text === "" || /^(model:)?[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)) return text;
  throw invalid("policy", `expected a policy's name (marllbctl policy list), found "${text.slice(0, 80)}"`);
}

/** An address of a request's field, in the one spelling that pools use. */
export function address(text: string, field: string): string {
  if (!isIpPort(text)) throw invalid(field, `expected IP:PORT, such as 10.0.0.1:80 or [2001:db8::1]:80, found "${text}"`);
  return canonicalAddress(text);
}

export function membersOf(pool: Pool__Output): WantedMember[] {
  if (pool.servers.length > MAX_SERVERS)
    throw invalid("pool.servers", `expected at most ${MAX_SERVERS}, found ${pool.servers.length}`);
  const seen = new Set<string>();
  const members = pool.servers.map((s, i) => {
    const a = address(s.address, `pool.servers[${i}].address`);
    if (seen.has(a)) throw invalid(`pool.servers[${i}].address`, `duplicate address ${s.address}`);
    seen.add(a);
    const weight = s.weight ?? 1;
    if (!(weight === 0 || (weight >= LEAST_WEIGHT && weight <= MAX_WEIGHT))) {
      const expected = `expected 0 (no new flows), or ${LEAST_WEIGHT} to ${MAX_WEIGHT}`;
      throw invalid(`pool.servers[${i}].weight`, `${expected}, found ${weight}`);
    }
    return { address: a, weight, drain: s.drain };
  });
  if (members.length > 0 && members.every((m) => m.weight === 0))
    throw invalid("pool.servers", "expected a weight above 0 for some server");
  return members;
}

/** Refuses a server that leads back to the pool's own VIP. `vips`: those whose addresses are known here. */
export function refuseLoops(members: readonly WantedMember[], pool: string, vips: readonly OwnVip[]): void {
  const of = vips.find((v) => v.name === pool);
  if (!of) return;
  members.forEach((m, i) => {
    const loop = loopOf(vips, of, m.address);
    if (loop !== null) throw invalid(`pool.servers[${i}].address`, loop);
  });
}

export function overrideOf(r: SetOverrideRequest__Output): Omit<OverrideOrder, keyof Stamp> {
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
  return { entries, mode: r.mode };
}
