// SPDX-License-Identifier: Apache-2.0
// A policy on trial: what the shadow would do, how an experiment stands, and whether the guardrail has stepped in.
import type { ExperimentNow, GuardrailNow, IntervalNow, ShadowNow, TrustNow } from "../wire.js";
import { clock, fixed, ms, percent } from "./format.js";
import { html, type View } from "./html.js";

const WIDTH = 360;
const HEIGHT = 26;

export function trust(t: TrustNow): View {
  const { guardrail: g } = t;
  const quiet = !["suspected", "down"].includes(g.state);
  if (!t.shadow && !t.experiment && quiet)
    return html`${guardrail(g)}<p class="hint">No policy is on trial. <code>marllbctl shadow set POLICY</code> lets one decide beside, <code>marllbctl experiment start --candidate POLICY</code> measures it.</p>`;
  return html`<div class="trust">
    ${guardrail(g)}
    ${t.shadow ? shadow(t.shadow) : null}
    ${t.experiment ? experiment(t.experiment) : null}
  </div>`;
}

/** What it does, and what it looks at. */
function guardrail(g: GuardrailNow): View {
  const stays =
    g.usual === null
      ? null
      : html`<span class="hint">flows stay ${ms(g.stay)}, ${ms(g.usual)} in the last ten minutes; suspected from ${ms(g.limit)} on</span>`;
  if (g.state === "suspected")
    return html`<p class="banner bad">The policy is suspected. Reference and policy decide by turns to find out, trial ${g.trial} of ${g.trials} at most: ${g.evidence}</p>`;
  if (g.state === "down")
    return html`<p class="banner bad">The guardrail has put the policy aside until ${clock(g.until)}: ${g.evidence}</p>`;
  if (g.state === "learning")
    return html`<p>Guardrail <span class="pill note">learning</span> <span class="hint">what is usual here; it steps in once some minutes of traffic are known (inference.guardrail_learn_s)</span></p>`;
  return g.state === "watching" ? html`<p>Guardrail <span class="pill good">watching</span> ${stays}</p>` : html``;
}

function shadow(s: ShadowNow): View {
  if (s.cut !== "")
    return html`<p>Shadow <b>${s.policy}</b> <span class="pill bad">cut off</span> <span class="hint">${s.cut}</span></p>`;
  return html`<p>Shadow <b>${s.policy}</b> would send <b>${percent(s.distance)}</b> of the new flows elsewhere <span class="hint">at ${fixed(s.costMs, 2)} ms of CPU a tick; dashed marks in the table</span></p>`;
}

const TONE: Record<string, string> = { better: "good", worse: "bad", tripped: "bad" };

function experiment(e: ExperimentNow): View {
  const most = Math.max(0.1, ...e.intervals.flatMap((i) => [i.low, i.high, i.mean].map((v) => Math.abs(v ?? 0)))) * 1.1;
  const reach = Math.min(1, most);
  return html`<div class="experiment">
    <p>Experiment <b>${e.candidate}</b> against <b>${e.baseline}</b>, ${percent(e.share)} of the time <span class=${`pill ${TONE[e.verdict] ?? "note"}`}>${e.verdict}</span></p>
    <table><thead><tr><th scope="col">Mean of</th><th scope="col">Slower or quicker than the baseline${e.intervals.some((i) => i.mean !== null) ? `, ±${percent(reach)}` : ""}</th><th scope="col" class="num">Effect</th><th scope="col" class="num">Pairs</th></tr></thead>
    <tbody>${e.intervals.map((i) => interval(i, reach))}</tbody></table>
    <p class="hint">${e.verdict === "running" ? "The bar holds every effect that is not refuted; it is decided when 0 lies outside." : e.why}</p>
  </div>`;
}

const NAMES: Record<string, string> = { duration: "flow duration", ttfb: "time to first byte" };
const signed = (v: number | null): string => (v === null ? "–" : `${v > 0 ? "+" : ""}${(100 * v).toFixed(1)} %`);

function interval(i: IntervalNow, reach: number): View {
  const x = (v: number): number => (WIDTH * (Math.max(-reach, Math.min(reach, v)) + reach)) / (2 * reach);
  const [low, high] = [x(i.low ?? -reach), x(i.high ?? reach)];
  const said = i.mean === null ? "not known yet" : `${signed(i.mean)}, between ${signed(i.low)} and ${signed(i.high)}`;
  return html`<tr key=${i.metric}>
    <th scope="row">${NAMES[i.metric] ?? i.metric}</th>
    <td><svg class="interval" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${said}>
      <rect class="track" x="0" y="9" width=${WIDTH} height="8" rx="4" />
      <rect class=${i.low === null ? "open" : "range"} x=${low} y="9" width=${Math.max(2, high - low)} height="8" rx="4" />
      <line class="zero" x1=${WIDTH / 2} x2=${WIDTH / 2} y1="2" y2=${HEIGHT - 2} />
      ${i.mean === null ? null : html`<circle class="decided" cx=${x(i.mean)} cy="13" r="5" />`}
    </svg></td>
    <td class="num">${signed(i.mean)}</td><td class="num">${i.pairs}</td>
  </tr>`;
}
