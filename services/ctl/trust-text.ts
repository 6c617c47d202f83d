// SPDX-License-Identifier: Apache-2.0
// What replicas of inference say of a VIP's trials, together and in words. Pure.
import type { Experiment__Output as Experiment } from "../../gen/marllb/v1/Experiment.js";
import type { GetTrustResponse__Output as TrustAnswer } from "../../gen/marllb/v1/GetTrustResponse.js";
import type { Guardrail__Output as Guardrail } from "../../gen/marllb/v1/Guardrail.js";
import type { GuardrailStep__Output as GuardrailStep } from "../../gen/marllb/v1/GuardrailStep.js";
import type { ShadowStatus__Output as ShadowStatus } from "../../gen/marllb/v1/ShadowStatus.js";
import { columns } from "./print.js";

/** A guardrail is one replica's own: of the load balancers that it steers. */
export interface GuardrailOf extends Guardrail {
  instances: readonly string[];
  policy: string;
  turn_of: string;
  wanted: string;
}

export interface TrustNow {
  guardrails: GuardrailOf[];
  shadows: ShadowStatus[];
  experiment: Experiment | null;
}

const pairsOf = (t: TrustAnswer): number => Math.max(0, ...(t.experiment?.intervals ?? []).map((i) => i.pairs));

/** Shadows and guardrails of all replicas that steer something; the experiment of the one that hears most of it. */
export function trustOf(answers: readonly TrustAnswer[]): TrustNow {
  const most = answers.reduce<TrustAnswer | null>((best, t) => (best && pairsOf(best) >= pairsOf(t) ? best : t), null);
  const guardrails = answers.flatMap(({ guardrail, instances, policy, turn_of, wanted }) =>
    guardrail && (instances.length > 0 || guardrail.steps.length > 0)
      ? [{ instances, policy, turn_of, wanted, ...guardrail }]
      : [],
  );
  return { guardrails, shadows: answers.flatMap((t) => t.shadows), experiment: most?.experiment ?? null };
}

/** Why a policy decides that nobody ordered; empty: it is ordered, or configured. */
export const TURNS: Readonly<Record<string, string>> = {
  experiment: "an experiment's turn",
  comparison: "the guardrail compares with the reference",
  suspicion: "the guardrail finds out whether the policy does harm",
  guardrail: "the guardrail put the policy aside",
};

const at = (unixMs: string | number): string => new Date(Number(unixMs)).toISOString();
const signed = (v: number): string => `${v > 0 ? "+" : ""}${(100 * v).toFixed(1)} %`;
const ms = (v: number): string => (Number.isFinite(v) ? `${v.toFixed(0)} ms` : "not known");

/** In a line: what the guardrail does, and why. Empty: nothing that a user would wonder about. */
export function guardrailLine(g: Guardrail): string {
  if (g.state === "suspected")
    return `guardrail: the policy is suspected, trial ${g.trial} of ${g.trials} at most: ${g.evidence}`;
  if (g.state === "down") return `guardrail: the policy is down until ${at(g.until_unix_ms)}: ${g.evidence}`;
  return "";
}

export const stepLine = (s: GuardrailStep): string => `guardrail ${at(s.at_unix_ms)} ${s.step}: ${s.evidence}`;

function guardrailText(g: GuardrailOf): string {
  const why = TURNS[g.turn_of];
  const head = `${g.policy || "nothing"} decides${g.instances.length > 0 ? ` at ${g.instances.join(", ")}` : ""}${why ? `: ${why}` : ""}`;
  const parts = [head, guardrailLine(g) || `guardrail: ${g.state}`];
  if (g.state !== "off" && Number.isFinite(g.usual_ms))
    parts.push(
      `flows stay ${ms(g.stay_ms)}, ${ms(g.usual_ms)} in the last ten minutes; from ${ms(g.limit_ms)} on the policy is suspected`,
    );
  const d = g.difference;
  if (d && d.pairs > 0 && Number.isFinite(d.high))
    parts.push(`against the reference: ${signed(d.mean)} [${signed(d.low)}, ${signed(d.high)}] of ${d.pairs} cycles`);
  return [...parts, ...g.steps.map(stepLine)].join("\n");
}

export function experimentText(e: Experiment): string {
  const rows = e.intervals.map((i) => {
    // Nothing is refuted before there are a few pairs.
    const known = Number.isFinite(i.high);
    return [i.metric, i.pairs > 0 ? signed(i.mean) : "-", known ? signed(i.low) : "-", known ? signed(i.high) : "-", i.pairs];
  });
  return [
    `${e.id}: ${e.candidate} against ${e.baseline} on ${e.vip}, ${(100 * e.share).toFixed(0)} % of the time, blocks of ${(e.block_ms / 1000).toFixed(0)} s`,
    `started by ${e.by} at ${at(e.started_at_unix_ms)}${e.reason === "" ? "" : `: ${e.reason}`}`,
    e.verdict === "running" ? `running, until ${at(e.deadline_unix_ms)} at most` : `${e.verdict}: ${e.why}`,
    columns(["mean of", "candidate", "at least", "at most", "pairs"], rows),
  ].join("\n");
}

export function trustText(t: TrustNow): string {
  const parts = t.guardrails.map(guardrailText);
  for (const s of t.shadows) {
    const how =
      s.cut === ""
        ? `${(100 * s.distance).toFixed(1)} % of the flows would go elsewhere, ${s.cost_ms.toFixed(2)} ms a tick`
        : `cut off: ${s.cut}`;
    parts.push(`shadow ${s.policy} at ${s.instance}: ${how}`);
  }
  if (t.experiment) parts.push(experimentText(t.experiment));
  return parts.join("\n");
}
