// SPDX-License-Identifier: Apache-2.0
import type { ConsoleEvent } from "../wire.js";
import { ago, clock } from "./format.js";
import { html, type View } from "./html.js";

const SHOWN = 200;

/** Newest first. */
export function eventList(events: readonly ConsoleEvent[], now: number): View {
  if (events.length === 0) return html`<p class="hint">Nothing has happened since the console was started.</p>`;
  const newest = [...events].sort((a, b) => b.at - a.at || b.id - a.id).slice(0, SHOWN);
  return html`<ol class="events" tabindex="0" aria-label="Events, newest first">${newest.map(
    (e) => html`<li key=${e.id} class=${e.tone}>
      <time datetime=${new Date(e.at).toISOString()} title=${ago(now - e.at)}>${clock(e.at)}</time>
      <span class="kind">${e.kind}</span><span>${e.text}</span></li>`,
  )}</ol>`;
}
