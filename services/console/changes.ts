// SPDX-License-Identifier: Apache-2.0
// What became different between two moments of a VIP, as events. Pure.
import type { ConsoleEvent, ServerNow, TrustNow, VipBrief } from "./wire.js";

type Made = Omit<ConsoleEvent, "id">;

const SERVER_TONE: Record<string, ConsoleEvent["tone"]> = { up: "good", draining: "note", leaving: "note", guarded: "note" };

export function vipChanges(before: VipBrief, now: VipBrief): Made[] {
  const { at, key } = now;
  const out: Made[] = [];
  const said = (kind: ConsoleEvent["kind"], tone: ConsoleEvent["tone"], text: string): void =>
    void out.push({ at, key, kind, tone, text });
  if (before.ladder !== now.ladder)
    said("ladder", now.step === 0 ? "good" : "bad", `ladder ${before.ladder} → ${now.ladder}: ${now.why}`);
  if (before.policy !== now.policy) said("policy", "note", `policy ${before.policy || "-"} → ${now.policy || "-"}`);
  if (before.mode !== now.mode) said("mode", "note", `mode ${before.mode} → ${now.mode}`);
  if (before.state !== now.state) said("state", now.tone, `pool ${before.state} → ${now.state}`);
  // Static and fallback are steps of the ladder: said above.
  const ordered = (s: string): boolean => s === "override" || s === "push";
  if (before.source !== now.source && (ordered(before.source) || ordered(now.source)))
    said("source", "note", `weights set by ${before.source} → ${now.source}`);
  return out;
}

/** Of one server; undefined: it came or went. */
export function serverChange(
  key: string,
  at: number,
  before: ServerNow | undefined,
  now: ServerNow | undefined,
): Made | undefined {
  const it = now ?? before;
  if (!it || (before && now && before.state === now.state)) return undefined;
  const made = (tone: ConsoleEvent["tone"], text: string): Made => ({ at, key, kind: "server", tone, text });
  if (!before) return made("note", `${it.address} joined the pool`);
  if (!now) return made("note", `${it.address} left the pool`);
  return made(SERVER_TONE[now.state] ?? "bad", `${it.address} ${before.state} → ${now.state}`);
}

const STEP_TONE: Record<string, ConsoleEvent["tone"]> = { suspected: "bad", down: "bad", cleared: "good" };

/** Of the guardrail and of an experiment. What was there before the console was started is no news. */
export function trustChanges(key: string, at: number, before: TrustNow | undefined, now: TrustNow): Made[] {
  const out: Made[] = [];
  if (before) {
    const last = Math.max(0, ...before.guardrail.steps.map((s) => s.at));
    for (const s of now.guardrail.steps)
      if (s.at > last)
        out.push({ at: s.at, key, kind: "guardrail", tone: STEP_TONE[s.step] ?? "note", text: `${s.step}: ${s.evidence}` });
  }
  const [was, is] = [before?.experiment, now.experiment];
  if (!before || !is || (was?.id === is.id && was.verdict === is.verdict)) return out;
  const who = `experiment ${is.id}, ${is.candidate} against ${is.baseline}`;
  const text = is.verdict === "running" ? `${who}: started` : `${who}: ${is.verdict}: ${is.why}`;
  out.push({ at, key, kind: "experiment", tone: is.verdict === "worse" || is.verdict === "tripped" ? "bad" : "note", text });
  return out;
}
