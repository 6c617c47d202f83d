// SPDX-License-Identifier: Apache-2.0
// Why the weights are what they are, as a picture: from what was configured over what Kalman makes of it to what the policy decides, and
// what it saw of each server.
import type { Explained } from "../wire.js";
import { fixed, percent } from "./format.js";
import { html, type View } from "./html.js";

const ROW = 26;
const LEFT = 4;
const WIDTH = 420;
const RIGHT = 8;
/** Features are centred on the pool's: from here on a colour is full. */
const FULL = 2;

export function explain(e: Explained): View {
  const most = Math.max(0.001, ...e.servers.flatMap((s) => [s.configured, s.kalman, s.weight])) * 1.05;
  const x = (v: number): number => LEFT + (v / most) * (WIDTH - LEFT - RIGHT);
  return html`<div class="explain">
    <p class="hint">Policy <b>${e.policy}</b>; ${percent(e.outOfRange)} of what it saw lies outside the range that it was trained on.</p>
    <ul class="legend">
      <li><svg width="14" height="14" aria-hidden="true"><circle class="configured" cx="7" cy="7" r="4.5" /></svg>configured</li>
      <li><svg width="14" height="14" aria-hidden="true"><path class="kalman" d="M7 1.5 12.5 7 7 12.5 1.5 7Z" /></svg>Kalman's estimate</li>
      <li><svg width="14" height="14" aria-hidden="true"><circle class="decided" cx="7" cy="7" r="5" /></svg>decided</li>
    </ul>
    <div class="table-box" tabindex="0" role="region" aria-label="Decision by server"><table class="steps">
      <thead><tr><th scope="col">Server</th><th scope="col">Share of the weights, 0 to ${percent(most)}</th><th scope="col" class="num">Decided</th><th scope="col" class="num">Bias (flows)</th><th scope="col">In words</th></tr></thead>
      <tbody>${e.servers.map((s) => steps(s, x))}</tbody>
    </table></div>
    <h3>What it saw</h3>
    <p class="hint">Each value is the server's distance from the pool: blue below, orange above.</p>
    ${features(e)}
  </div>`;
}

function steps(s: Explained["servers"][number], x: (v: number) => number): View {
  const y = ROW / 2;
  const [a, b, c] = [x(s.configured), x(s.kalman), x(s.weight)];
  const said = `configured ${percent(s.configured)}, Kalman ${percent(s.kalman)}, decided ${percent(s.weight)}`;
  return html`<tr key=${s.address}>
    <th scope="row" class="address">${s.address}</th>
    <td><svg class="dumbbell" viewBox=${`0 0 ${WIDTH} ${ROW}`} role="img" aria-label=${said}>
      <line class="axis" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y} y2=${y} />
      <line class="estimated" x1=${a} x2=${b} y1=${y} y2=${y} />
      <line class="moved" x1=${b} x2=${c} y1=${y} y2=${y} />
      <circle class="configured" cx=${a} cy=${y} r="5" />
      <path class="kalman" d=${`M${b} ${y - 6.5}L${b + 6.5} ${y}L${b} ${y + 6.5}L${b - 6.5} ${y}Z`} />
      <circle class="decided" cx=${c} cy=${y} r="5.5" />
    </svg></td>
    <td class="num">${percent(s.weight)}</td>
    <td class="num">${fixed(s.bias, 2)}</td>
    <td class="why">${s.reason}</td>
  </tr>`;
}

function features(e: Explained): View {
  return html`<div class="table-box" tabindex="0" role="region" aria-label="Features by server"><table class="features">
    <thead><tr><th scope="col">Server</th>${e.features.map((name) => html`<th scope="col" key=${name}>${name}</th>`)}</tr></thead>
    <tbody>${e.servers.map(
      (s) =>
        html`<tr key=${s.address}><th scope="row" class="address">${s.address}</th>${s.features.map((v, i) => cell(v, i))}</tr>`,
    )}</tbody>
  </table></div>`;
}

function cell(v: number, key: number): View {
  const strength = Math.min(1, Math.abs(v) / FULL);
  const side = v < 0 ? "below" : "above";
  return html`<td key=${key} class=${`num heat ${side}`} style=${{ "--heat": `${(100 * strength).toFixed(0)}%` }}>${fixed(v, 2)}</td>`;
}
