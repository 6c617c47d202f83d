// SPDX-License-Identifier: Apache-2.0
// What the console's server and its page say to each other, as JSON. Times are Unix milliseconds; null = unknown.

export type Tone = "good" | "note" | "bad";

/** One VIP at one load balancer, in a line. `key` names it in every request. */
export interface VipBrief {
  key: string;
  lb: string;
  name: string;
  address: string;
  policy: string;
  /** Why it decides: order, experiment, comparison, suspicion, guardrail; empty: nobody says. */
  turnOf: string;
  mode: string;
  ladder: string;
  /** The ladder's step as a number; 0 is the best. */
  step: number;
  /** Why it is on this step, as a sentence. */
  why: string;
  /** Of the pool: normal, degraded, panic. */
  state: string;
  /** How it stands as a whole. */
  tone: Tone;
  /** Who sets the weights: inference, push, override. */
  source: string;
  /** When the load balancer last said something of it; the figures are of then. */
  at: number;
  /** Nothing is heard of it any more. */
  stale: boolean;
  servers: number;
  up: number;
  flows: number;
  newFlows: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  jain: number;
  effectMs: number;
}

export interface Held {
  kind: "drain" | "maintenance";
  by: string;
  reason: string;
  at: number;
}

export interface ServerNow {
  address: string;
  state: string;
  /** Why it is in this state, where somebody knows. */
  reason: string;
  health: string;
  weight: number;
  share: number;
  factor: number;
  flows: number;
  newFlows: number;
  p50: number | null;
  p95: number | null;
  holds: Held[];
  /** Share that is its due: of the true capacity where that is known, else of the configured weight. */
  due: number;
}

export interface Peer {
  name: string;
  address: string;
  state: string;
}

/** A policy that decides beside the one in force. */
export interface ShadowNow {
  policy: string;
  /** Why it was cut off; empty: it runs. */
  cut: string;
  costMs: number;
  /** Of the new flows, that it would send elsewhere. */
  distance: number;
  shares: { address: string; share: number }[];
}

/** Ratios less 1; null = not bounded yet. */
export interface IntervalNow {
  metric: string;
  pairs: number;
  mean: number | null;
  low: number | null;
  high: number | null;
}

export interface ExperimentNow {
  id: string;
  candidate: string;
  baseline: string;
  share: number;
  startedAt: number;
  deadline: number;
  verdict: string;
  why: string;
  intervals: IntervalNow[];
}

export interface GuardrailStep {
  at: number;
  /** suspected, withdrawn, reintroduced, cleared, down, again. */
  step: string;
  evidence: string;
}

/** Stays in ms. */
export interface GuardrailNow {
  /** off, learning, watching, suspected, down; empty: nobody says. */
  state: string;
  /** What led to suspected or down. */
  evidence: string;
  trial: number;
  trials: number;
  /** Down until then; 0: it is not. */
  until: number;
  stay: number | null;
  usual: number | null;
  /** From there on the policy is suspected. */
  limit: number | null;
  /** The last ones, oldest first. */
  steps: GuardrailStep[];
}

export interface TrustNow {
  shadow: ShadowNow | null;
  experiment: ExperimentNow | null;
  guardrail: GuardrailNow;
}

/** The VIP that the page shows. */
export interface VipDetail {
  key: string;
  trust: TrustNow;
  servers: ServerNow[];
  peers: Peer[];
  /** `due` is of true capacities. */
  capacityKnown: boolean;
  /** The policy that an operator ordered; empty = as configured. */
  ordered: string;
  override: string;
  managed: boolean;
}

export type EventKind =
  | "ladder"
  | "policy"
  | "mode"
  | "state"
  | "source"
  | "server"
  | "order"
  | "contact"
  | "guardrail"
  | "experiment";

export interface ConsoleEvent {
  id: number;
  at: number;
  /** LB/VIP; "LB/": the load balancer as a whole; "/VIP": the pool at all of them. */
  key: string;
  kind: EventKind;
  /** How bad: good (back to normal), note, bad. */
  tone: Tone;
  text: string;
}

/** Whether an event has to do with a VIP at a load balancer. */
export const concerns = (event: Pick<ConsoleEvent, "key">, key: string): boolean =>
  event.key === key ||
  (event.key.endsWith("/") && key.startsWith(event.key)) ||
  (event.key.startsWith("/") && key.endsWith(event.key));

/** One message of GET /api/live, about once a second. */
export interface Live {
  at: number;
  vips: VipBrief[];
  detail: VipDetail | null;
  /** Those since the last message. */
  events: ConsoleEvent[];
  /** Load balancers that do not answer: address and why. */
  silent: { address: string; why: string }[];
}

/** Columns of a span: `n` steps of `step` ms from `from`; null where nothing was heard. */
export interface Past {
  key: string;
  from: number;
  step: number;
  n: number;
  vip: Record<VipColumn, (number | null)[]>;
  servers: ({ address: string } & Record<ServerColumn, (number | null)[]>)[];
  events: ConsoleEvent[];
}

export const VIP_COLUMNS = ["flows", "newFlows", "p50", "p95", "p99", "jain", "effectMs", "ladder"] as const;
export type VipColumn = (typeof VIP_COLUMNS)[number];
export const SERVER_COLUMNS = ["share", "flows", "p95"] as const;
export type ServerColumn = (typeof SERVER_COLUMNS)[number];

export interface Explained {
  policy: string;
  at: number;
  outOfRange: number;
  features: string[];
  servers: {
    address: string;
    configured: number;
    kalman: number;
    weight: number;
    bias: number;
    features: number[];
    reason: string;
  }[];
  pool: { name: string; value: number }[];
}

export interface PolicyNow {
  name: string;
  kind: string;
  usable: boolean;
  note: string;
}

export type Role = "none" | "read" | "operate";

export interface Me {
  role: Role;
  name: string;
  /** What would give more: "" = nothing is missing. */
  hint: string;
  /** Latencies from here on are only known to be longer. */
  endMs: number;
  /** The ladder's steps by number. */
  ladders: string[];
}

export type Act =
  | { do: "drain" | "undrain"; key: string; address: string; reason: string }
  | { do: "policy"; key: string; policy: string; reason: string }
  | { do: "pin"; key: string; weights: { address: string; weight: number }[]; reason: string }
  | { do: "unpin"; key: string; reason: string };

export interface Done {
  text: string;
}

export interface Refused {
  error: string;
}
