// SPDX-License-Identifier: Apache-2.0
// What changed from one message to the next: what `marllbctl events` says. Pure.
import type { Change__Output } from "../../gen/marllb/v1/Change.js";
import type { GetTrustResponse__Output } from "../../gen/marllb/v1/GetTrustResponse.js";
import type { StreamStatsResponse__Output as Stats } from "../../gen/marllb/v1/StreamStatsResponse.js";
import type { Verdict__Output } from "../../gen/marllb/v1/Verdict.js";
import { wireLadder, wireMode, wireVipState } from "../common/vocabulary.js";
import { TURNS } from "./trust-text.js";

export interface Happening {
  /** policy, mode, ladder, source, state, server, servers, health, order, guardrail. */
  kind: string;
  /** Of the load balancer that says so; absent where it is the whole pool's. */
  load_balancer?: string;
  vip: string;
  server?: string;
  from?: string;
  to: string;
  why?: string;
}

type Field = [kind: string, of: (s: Stats) => string];
const FIELDS: readonly Field[] = [
  ["policy", (s) => s.vip?.policy ?? ""],
  ["mode", (s) => wireMode.word(s.vip?.mode ?? "")],
  ["ladder", (s) => wireLadder.word(s.vip?.ladder ?? "")],
  ["source", (s) => s.vip?.source ?? ""],
  ["state", (s) => wireVipState.word(s.vip?.state ?? "")],
];

const whyTurn = (turnOf: string): Pick<Happening, "why"> => (TURNS[turnOf] ? { why: TURNS[turnOf] } : {});

/** Of one VIP of one load balancer. */
export function statsChanges(loadBalancer: string, before: Stats, now: Stats): Happening[] {
  const base = { load_balancer: loadBalancer, vip: now.vip?.name ?? "" };
  const out: Happening[] = [];
  for (const [kind, of] of FIELDS) if (of(before) !== of(now)) out.push({ kind, ...base, from: of(before), to: of(now) });
  // Who decides in place of the policy that was ordered, and why it does.
  for (const h of out) if (h.kind === "policy") Object.assign(h, whyTurn(now.vip?.turn_of ?? ""));
  const states = new Map(before.servers.map((s) => [s.address, s.state]));
  const here = new Set(now.servers.map((s) => s.address));
  for (const { address, state } of now.servers) {
    const was = states.get(address);
    if (was === undefined) out.push({ kind: "servers", ...base, server: address, to: "joined" });
    else if (was !== state) out.push({ kind: "server", ...base, server: address, from: was, to: state });
  }
  for (const address of states.keys())
    if (!here.has(address)) out.push({ kind: "servers", ...base, server: address, to: "left" });
  return out;
}

const word = (v: Verdict__Output): string => v.state.replace("HEALTH_STATE_", "").toLowerCase();

/**
 * Verdicts of all replicas of health, by VIP and server. A turn is news when the first says it, and replicas or load balancers that
 * differ from each other for long are none.
 */
export class VerdictChanges {
  /** What each says now. */
  readonly #known = new Map<string, string>();
  readonly #news = new Map<string, string>();

  hear(replica: string, verdicts: readonly Verdict__Output[]): Happening[] {
    const out: Happening[] = [];
    for (const v of verdicts) {
      const server = `${v.vip}/${v.address}`;
      const key = `${replica}/${v.instance}/${server}`;
      const turned = this.#known.get(key);
      const to = word(v);
      this.#known.set(key, to);
      const from = this.#news.get(server);
      if (from !== undefined && (turned === undefined || turned === to || from === to)) continue;
      this.#news.set(server, to);
      if (from !== undefined) out.push({ kind: "health", vip: v.vip, server: v.address, from, to, why: v.reason });
    }
    return out;
  }
}

/** Steps of the guardrails of a VIP, each replica's own. */
export class GuardrailChanges {
  /** The newest that a replica has said. */
  readonly #last = new Map<string, number>();

  hear(replica: string, vip: string, { guardrail, instances }: GetTrustResponse__Output): Happening[] {
    const steps = guardrail?.steps ?? [];
    const last = this.#last.get(replica);
    this.#last.set(replica, Math.max(last ?? 0, ...steps.map((s) => Number(s.at_unix_ms))));
    if (last === undefined) return [];
    const where = instances.length > 0 ? { load_balancer: instances.join(",") } : {};
    return steps
      .filter((s) => Number(s.at_unix_ms) > last)
      .map((s) => ({ kind: "guardrail", ...where, vip, to: s.step, why: s.evidence }));
  }
}

/** Orders of a pool, oldest first, that are newer than the last look. */
export class OrderChanges {
  #last: number | null = null;

  hear(vip: string, changes: readonly Change__Output[]): Happening[] {
    const newest = changes.reduce((n, c) => Math.max(n, Number(c.version)), this.#last ?? 0);
    const last = this.#last;
    this.#last = newest;
    if (last === null) return [];
    return changes
      .filter((c) => Number(c.version) > last)
      .sort((a, b) => Number(a.version) - Number(b.version))
      .map((c) => ({ kind: "order", vip, to: `${c.what.join(", ")} by ${c.by}`, ...(c.reason === "" ? {} : { why: c.reason }) }));
  }
}

export function happeningText(h: Happening): string {
  const who = [h.load_balancer, h.vip, h.server].filter(Boolean).join(" ");
  const what = h.from === undefined ? h.to : `${h.from || "-"} -> ${h.to || "-"}`;
  return `${who}  ${h.kind}: ${what}${h.why ? ` (${h.why})` : ""}`;
}
