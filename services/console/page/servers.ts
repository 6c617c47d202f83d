// SPDX-License-Identifier: Apache-2.0
// The servers of a VIP: state and why, share against what is its due, what an operator can do.
import type { ServerNow } from "../wire.js";
import { lineColour } from "./colours.js";
import { count, fixed, ms, percent } from "./format.js";
import { drawSoon, forgetDraw } from "./frames.js";
import { Component, html, type View } from "./html.js";
import { type Series, thinned } from "./series.js";

export interface ServersProps {
  servers: readonly ServerNow[];
  series: Series | null;
  capacityKnown: boolean;
  /** What the shadow would give. */
  shadow: ReadonlyMap<string, number>;
  endMs: number;
  onFocus(address: string | undefined): void;
  onHold(server: ServerNow): void;
}

const TONE: Record<string, string> = { up: "good", draining: "note", leaving: "note", guarded: "note" };
const SPARK_W = 120;
const SPARK_H = 26;
const SPARK_S = 5;
/** Rows that are drawn in one frame. */
const GROUP = 8;

export function servers(p: ServersProps): View {
  const most = Math.max(0.0001, ...p.servers.flatMap((s) => [s.share, s.due, p.shadow.get(s.address) ?? 0]));
  return html`<div class="table-box" tabindex="0" role="region" aria-label="Servers"><table class="servers">
    <caption class="unseen">Servers: state, share of new flows against what is due, flows, latency</caption>
    <thead><tr>
      <th scope="col">Server</th><th scope="col">State</th>
      <th scope="col" class="wide">Share of new flows <span class="hint">│ ${p.capacityKnown ? "its capacity's share" : "its weight's share"}</span></th>
      <th scope="col" class="num">Flows</th><th scope="col" class="num">New /s</th><th scope="col" class="num">p50</th><th scope="col" class="num">p95</th>
      <th scope="col">p95 over time</th><th scope="col"><span class="unseen">Actions</span></th>
    </tr></thead>
    ${groups(p.servers).map(({ from, rows }) => html`<${Rows} key=${from} from=${from} rows=${rows} most=${most} of=${p} />`)}
  </table></div>`;
}

function groups(all: readonly ServerNow[]): { from: number; rows: readonly ServerNow[] }[] {
  return Array.from({ length: Math.ceil(all.length / GROUP) }, (_, g) => ({
    from: g * GROUP,
    rows: all.slice(g * GROUP, (g + 1) * GROUP),
  }));
}

interface RowsProps {
  /** Number of the first. */
  from: number;
  rows: readonly ServerNow[];
  most: number;
  of: ServersProps;
}

/** Some of the rows. A message changes them all: each group is drawn in a frame of its own. */
class Rows extends Component<RowsProps> {
  override shouldComponentUpdate(): boolean {
    drawSoon(this, () => this.forceUpdate());
    return false;
  }

  override componentWillUnmount(): void {
    forgetDraw(this);
  }

  render(): ReturnType<typeof html> {
    const { from, rows, most, of } = this.props;
    return html`<tbody>${rows.map((s, i) => row(s, from + i, most, of))}</tbody>`;
  }
}

function row(s: ServerNow, i: number, most: number, p: ServersProps): View {
  const held = s.holds.length > 0;
  const why = [s.reason, ...s.holds.map((h) => `${h.kind} by ${h.by}${h.reason === "" ? "" : `: ${h.reason}`}`)]
    .filter(Boolean)
    .join("; ");
  return html`<tr key=${s.address} onMouseEnter=${() => p.onFocus(s.address)} onMouseLeave=${() => p.onFocus(undefined)}>
    <th scope="row"><span class="swatch" style=${{ background: lineColour(i) }}></span><span class="address">${s.address}</span></th>
    <td data-label="State"><span class=${`pill ${TONE[s.state] ?? "bad"}`}>${s.state}</span>${s.factor > 0 && s.factor < 1 ? html` <span class="hint">at ${percent(s.factor)}</span>` : null}${why ? html`<div class="why">${why}</div>` : null}</td>
    <td data-label="Share" class="wide">${bullet(s, i, most, p.shadow.get(s.address))}</td>
    <td data-label="Flows" class="num">${count(s.flows)}</td>
    <td data-label="New /s" class="num">${fixed(s.newFlows, s.newFlows < 10 ? 1 : 0)}</td>
    <td data-label="p50" class="num">${ms(s.p50, p.endMs)}</td>
    <td data-label="p95" class="num">${ms(s.p95, p.endMs)}</td>
    <td data-label="p95 over time"><${Spark} series=${p.series} address=${s.address} colour=${lineColour(i)} turn=${i} /></td>
    <td class="acts"><button type="button" class="small" onClick=${() => p.onHold(s)} aria-label=${`${held ? "Undrain" : "Drain"} ${s.address}`}>${held ? "Undrain" : "Drain"}</button></td>
  </tr>`;
}

/** The share as a bar, the due share as a mark across it. */
function bullet(s: ServerNow, i: number, most: number, shadow: number | undefined): View {
  const at = (v: number): string => `${((100 * v) / most).toFixed(2)}%`;
  return html`<div class="bullet"><span class="num">${percent(s.share)}</span>
    <svg viewBox="0 0 100 16" preserveAspectRatio="none" role="img" aria-label=${`${percent(s.share)}, due ${percent(s.due)}`}>
      <rect class="track" width="100" height="16" rx="1" />
      <rect x="0" y="3" width=${at(s.share)} height="10" fill=${lineColour(i)} />
      ${shadow === undefined ? null : html`<line class="shadow" x1=${at(shadow)} x2=${at(shadow)} y1="0" y2="16" vector-effect="non-scaling-stroke" />`}
      <line class="due" x1=${at(s.due)} x2=${at(s.due)} y1="0" y2="16" vector-effect="non-scaling-stroke" />
    </svg><span class="num hint">${percent(s.due)}</span></div>`;
}

/** A server's p95 over what the charts show. */
function drawn(series: Series | null, address: string): readonly (number | null)[] {
  const column = series?.servers.get(address)?.p95;
  if (!series || !column) return [];
  return column.slice(Math.max(0, series.t.indexOf(series.drawn[0])));
}

interface SparkProps {
  series: Series | null;
  address: string;
  colour: string;
  turn: number;
}

/** Drawn anew every few seconds, not all of them at once: a second more changes nothing that one sees, and there may be many. */
class Spark extends Component<SparkProps> {
  #drawnOf: Series | null = null;
  #drawnAt = 0;

  override shouldComponentUpdate({ series, address, colour, turn }: SparkProps): boolean {
    const other = series !== this.#drawnOf || address !== this.props.address || colour !== this.props.colour;
    const round = (s: number): number => Math.floor((s + turn) / SPARK_S);
    return other || round(series?.t.at(-1) ?? 0) !== round(this.#drawnAt);
  }

  render(): ReturnType<typeof html> {
    const { series, address, colour } = this.props;
    this.#drawnOf = series;
    this.#drawnAt = series?.t.at(-1) ?? 0;
    const values = thinned([...drawn(series, address)], 60);
    const high = Math.max(1, ...values.map((v) => v ?? 0));
    let path = "";
    let open = false;
    values.forEach((v, k) => {
      if (v !== null) {
        const x = (k / Math.max(1, values.length - 1)) * SPARK_W;
        const y = SPARK_H - 2 - (v / high) * (SPARK_H - 4);
        path += `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      }
      open = v !== null;
    });
    return html`<svg class="spark" width=${SPARK_W} height=${SPARK_H} viewBox=${`0 0 ${SPARK_W} ${SPARK_H}`} aria-hidden="true"><path d=${path} stroke=${colour} /></svg>`;
  }
}
