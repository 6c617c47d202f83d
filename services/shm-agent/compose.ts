// SPDX-License-Identifier: Apache-2.0
// From a decision and a directive, both keyed by server id, to arrays in the order of a frame's servers: what the envelope takes.
// Pure.
import type { FrameView } from "../common/native/frame.js";
import { InFlag } from "../common/vocabulary.js";
import type { Decision } from "./ladder.js";

export interface OverrideWeights {
  weights: ReadonlyMap<number, number>;
  /** enum mlb_mode; 0 = leave as it is. */
  mode: number;
  reason: string;
}

/** failover's order for one VIP. */
export interface DirectiveState {
  term: bigint;
  factors: ReadonlyMap<number, number>;
  /** enum mlb_vip_state. */
  state: number;
  loadBalancers: number;
  /** This one's number among them, from 1; 0 = not known. */
  loadBalancer: number;
  override: OverrideWeights | null;
  fallback: boolean;
  /** The policy that an operator wants; empty = as configured. */
  policy: string;
  /** Servers whose flows are to end. */
  closing: ReadonlySet<number>;
  /** Masked servers that a flow may try when its connect failed at all others. */
  lastResort: ReadonlySet<number>;
  /** Of the list that failover knew. */
  generation: number;
  /** Servers that joined later get no new flows until it knows them. */
  newcomersWait: boolean;
}

export const NO_DIRECTIVE: DirectiveState = {
  term: 0n,
  factors: new Map(),
  state: 0,
  loadBalancers: 0,
  loadBalancer: 0,
  override: null,
  fallback: false,
  policy: "",
  closing: new Set(),
  lastResort: new Set(),
  generation: 0,
  newcomersWait: false,
};

/** What a data plane has in force of the last agent's directive, as far as a frame says it: an override is not in it (kept.ts has it). */
export function directiveInForce(v: FrameView): DirectiveState {
  const factors = new Map<number, number>();
  const inForce = v.column("factor");
  for (let i = 0; i < v.count; i++) if ((inForce[i] as number) < 1) factors.set(v.ids[i] as number, inForce[i] as number);
  if (v.term === 0n) return { ...NO_DIRECTIVE, factors };
  const { load_balancers: loadBalancers = 0, load_balancer: loadBalancer = 0 } = v.figures;
  return { ...NO_DIRECTIVE, term: v.term, factors, loadBalancers, loadBalancer };
}

/** A pushed vector and until when it rules. */
export interface Push {
  decision: Decision;
  untilMs: number;
}

export type Source = "override" | "push" | "fallback" | "inference" | "static";

/** Who sets the weights now: override over push over inference. A fallback ordered by failover rules out inference only. */
export function pickSource(
  directive: DirectiveState,
  push: Push | null,
  decision: Decision | null,
  nowMs: number,
): { source: Source; decision: Decision | null } {
  if (directive.override) return { source: "override", decision: overrideDecision(directive.override) };
  if (push && nowMs < push.untilMs) return { source: "push", decision: push.decision };
  if (directive.fallback) return { source: "fallback", decision: null };
  return { source: decision ? "inference" : "static", decision };
}

function overrideDecision(o: OverrideWeights): Decision {
  return {
    ids: [...o.weights.keys()],
    weights: Float32Array.from(o.weights.values()),
    bias: new Float32Array(0),
    kappa: 0,
    mode: o.mode,
    policy: "override",
    turnOf: "",
  };
}

/**
 * Raw weights and biases in the frame's order. A server that the decision does not know gets its configured weight, which an
 * operator's order (`exact`) is on the scale of; a policy's has any scale, and is taken as the others' weights are on average. What
 * the decision knows beside is ignored.
 */
export function rawInOrder(
  ids: ArrayLike<number>,
  weightStatic: Float32Array,
  decision: Decision | null,
  exact: boolean,
): { raw: Float32Array; bias: Float32Array } {
  const n = ids.length;
  const raw = new Float32Array(n);
  const bias = new Float32Array(n);
  if (decision === null) {
    raw.set(weightStatic);
    return { raw, bias };
  }
  const at = new Map<number, number>();
  for (let j = 0; j < decision.ids.length; j++) at.set(decision.ids[j] as number, j);
  let sumRaw = 0;
  let sumStatic = 0;
  const unknown: number[] = [];
  for (let i = 0; i < n; i++) {
    const j = at.get(ids[i] as number);
    if (j === undefined) {
      unknown.push(i);
      continue;
    }
    raw[i] = decision.weights[j] as number;
    bias[i] = decision.bias[j] ?? 0;
    sumRaw += raw[i] as number;
    sumStatic += weightStatic[i] as number;
  }
  const scale = !exact && sumRaw > 0 && sumStatic > 0 && Number.isFinite(sumRaw) ? sumRaw / sumStatic : 1;
  for (const i of unknown) raw[i] = (weightStatic[i] as number) * scale;
  return { raw, bias };
}

/** The directive's factors in the frame's order: a missing id means 1, or 0 where the server waits for a directive that knows it. */
export function factorsInOrder(
  ids: ArrayLike<number>,
  directive: DirectiveState,
  waits: (id: number) => boolean = () => false,
): Float32Array {
  const out = new Float32Array(ids.length);
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    out[i] = waits(id) ? 0 : (directive.factors.get(id) ?? 1);
  }
  return out;
}

/**
 * enum mlb_in_flag of each server, in the frame's order. A weight of 0 in an operator's order is an order, too: such a server is nobody's
 * last resort.
 */
export function flagsInOrder(ids: ArrayLike<number>, directive: DirectiveState, raw: Float32Array): Uint8Array {
  const out = new Uint8Array(ids.length);
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    const lastResort = directive.lastResort.has(id) && (raw[i] as number) > 0;
    out[i] = (directive.closing.has(id) ? InFlag.CLOSE : 0) | (lastResort ? InFlag.LAST_RESORT : 0);
  }
  return out;
}

/** Values of an earlier vector (by id) in this frame's order; NaN where there is none, which leaves that server's rate free. */
export function previousInOrder(ids: ArrayLike<number>, before: ReadonlyMap<number, number>): Float32Array {
  const out = new Float32Array(ids.length);
  for (let i = 0; i < ids.length; i++) out[i] = before.get(ids[i] as number) ?? Number.NaN;
  return out;
}

/** Whether a directive replaces the one in force: only a newer or equal term does, an older one is refused. */
export function acceptsTerm(current: DirectiveState, term: bigint): boolean {
  return term >= current.term;
}
