// SPDX-License-Identifier: Apache-2.0
// A line chart over time: uPlot with the theme's colours, events as marks, one cursor for all charts, and the keyboard.
import uPlot from "/lib/uplot.js";
import type { ConsoleEvent } from "../wire.js";
import { colour } from "./colours.js";
import { clock } from "./format.js";
import { drawSoon, forgetDraw } from "./frames.js";
import { Component, createRef, html } from "./html.js";

export interface Line {
  label: string;
  colour: string;
  dash?: number[];
  width?: number;
  /** Filled to the axis, faintly. */
  fill?: boolean;
}

export interface ChartProps {
  title: string;
  /** What is worth knowing without looking, for those who do not see it. */
  summary: string;
  lines: readonly Line[];
  /** The time axis in seconds, then one column a line. */
  data: readonly (readonly (number | null)[])[];
  format(v: number | null): string;
  /** Of the value axis; null = as the data are. */
  low?: number | null;
  high?: number | null;
  /** Dashed lines across: what should be. */
  marks?: readonly number[];
  /** Of the time axis. */
  drawn: [from: number, to: number];
  /** Names of the lines are elsewhere: only the nearest is said. */
  quiet?: boolean;
  events: readonly ConsoleEvent[];
  theme: string;
  /** Label of the line that stands out. */
  focus?: string;
}

interface State {
  at: number | null;
}

const HEIGHT = 190;
const sync = uPlot.sync("time");

export class Chart extends Component<ChartProps, State> {
  override state: State = { at: null };
  readonly #box = createRef<HTMLDivElement>();
  #plot: uPlot | null = null;
  #look = "";
  #sizes: ResizeObserver | null = null;
  #near = -1;
  /** The moment that the keyboard reads, in seconds: it stays while time goes on. */
  #read: number | null = null;

  override componentDidMount(): void {
    const box = this.#box.current as HTMLDivElement;
    this.#sizes = new ResizeObserver(() => {
      if (this.#plot && box.clientWidth > 0 && box.clientWidth !== this.#plot.width)
        this.#plot.setSize({ width: box.clientWidth, height: HEIGHT });
    });
    this.#sizes.observe(box);
    drawSoon(this, () => this.#draw());
  }

  override componentDidUpdate(): void {
    drawSoon(this, () => this.#draw());
  }

  override componentWillUnmount(): void {
    forgetDraw(this);
    this.#sizes?.disconnect();
    this.#drop();
  }

  render(): preactVNode {
    const { title, summary, lines, format } = this.props;
    const { at } = this.state;
    const keyed = this.#read !== null;
    const data = this.props.data as (number | null)[][];
    const i = this.#shown();
    const when = data[0]?.[i];
    const said = (n: number): string => `${lines[n]?.label} ${format(data[n + 1]?.[i] ?? null)}`;
    const shown = this.props.quiet ? [this.#near].filter((n) => n >= 0) : lines.map((_, n) => n);
    const told = keyed ? lines.map((_, n) => n) : shown;
    return html`<figure class="chart">
      <figcaption><h3>${title}</h3><span class="when">${at !== null && when ? clock(1000 * when) : "now"}</span></figcaption>
      <div
        class="plot"
        ref=${this.#box}
        tabindex="0"
        role="img"
        aria-label=${`${title}. ${summary} Left and right arrows read single moments.`}
        onKeyDown=${this.#key}
        onBlur=${() => this.#cursor(null)}
      ></div>
      <ul class="legend">${shown.map(
        (n) =>
          html`<li key=${n}><span class="swatch" style=${{ background: lines[n]?.colour }}></span>${lines[n]?.label} <b>${format(data[n + 1]?.[i] ?? null)}</b></li>`,
      )}${shown.length === 0 ? html`<li>${lines.length} servers, coloured as in the table; point at a line</li>` : null}</ul>
      <p class="unseen" aria-live="polite">${keyed && when ? `${clock(1000 * when)}: ${told.map(said).join(", ")}` : ""}</p>
    </figure>` as preactVNode;
  }

  #drop(): void {
    if (!this.#plot) return;
    sync.unsub(this.#plot);
    this.#plot.destroy();
    this.#plot = null;
  }

  #draw(): void {
    const box = this.#box.current;
    if (!box || box.clientWidth === 0) return;
    const { lines, theme, title, data } = this.props;
    const look = JSON.stringify([lines, theme, title]);
    const aligned = data as unknown as uPlot.AlignedData;
    if (this.#plot && look === this.#look) {
      this.#plot.setData(aligned);
      this.#focus();
      // uPlot moves its scales in a microtask of its own, which is before this one.
      if (this.#read !== null) queueMicrotask(() => this.#stay());
      return;
    }
    this.#drop();
    this.#look = look;
    this.#plot = new uPlot(this.#options(box.clientWidth), aligned, box);
    sync.sub(this.#plot);
    this.#focus();
  }

  #focus(): void {
    const { focus, lines } = this.props;
    const i = focus === undefined ? -1 : lines.findIndex((l) => l.label === focus);
    this.#plot?.setSeries(i < 0 ? null : i + 1, { focus: true }, false);
  }

  #options(width: number): uPlot.Options {
    const ink = colour("muted");
    const grid = { stroke: colour("grid"), width: 1 };
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis: uPlot.Axis = { stroke: ink, grid, ticks: { show: false }, font };
    return {
      width,
      height: HEIGHT,
      legend: { show: false },
      padding: [10, 8, 0, 0],
      cursor: {
        sync: { key: sync.key, setSeries: false },
        focus: { prox: 24 },
        points: { size: 6 },
        drag: { x: false, y: false },
        y: false,
      },
      focus: { alpha: 0.25 },
      scales: { x: { time: true, range: () => this.props.drawn }, y: { range: (_u, low, high) => this.#range(low, high) } },
      axes: [
        { ...axis, values: (_u, ticks) => times(ticks), size: 28, space: 70 },
        { ...axis, values: (_u, ticks) => ticks.map((v) => this.props.format(v)), size: 58, space: 34 },
      ],
      series: [{}, ...this.props.lines.map((l) => this.#series(l))],
      hooks: {
        draw: [(u) => this.#drawMarks(u)],
        setCursor: [(u) => this.#moved(u)],
        setSeries: [(_u, i) => this.#nearest(i)],
      },
    };
  }

  #series(l: Line): uPlot.Series {
    return {
      label: l.label,
      stroke: l.colour,
      width: l.width ?? 1.6,
      points: { show: false },
      spanGaps: false,
      ...(l.dash && { dash: l.dash }),
      ...(l.fill && { fill: l.colour.replace(/\)$/, " / 0.12)") }),
    };
  }

  #range(low: number | null, high: number | null): uPlot.Range.MinMax {
    const { low: bottom, high: top, marks = [] } = this.props;
    const max = Math.max(high ?? 0, ...marks);
    const min = Math.min(low ?? 0, ...marks);
    return [bottom ?? min, top ?? (max > 0 ? max * 1.08 : 1)];
  }

  /** What should be, dashed; and what happened, as lines with a flag at the top. */
  #drawMarks(u: uPlot): void {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.lineWidth = scale;
    ctx.strokeStyle = colour("muted");
    ctx.globalAlpha = 0.6;
    ctx.setLineDash([2 * scale, 4 * scale]);
    for (const m of this.props.marks ?? []) {
      const y = Math.round(u.valToPos(m, "y", true));
      if (y >= top && y <= top + height) stroke(ctx, left, y, left + width, y);
    }
    ctx.setLineDash([]);
    for (const e of this.props.events) {
      const x = Math.round(u.valToPos(e.at / 1000, "x", true));
      if (x < left || x > left + width) continue;
      ctx.strokeStyle = ctx.fillStyle = colour(e.tone);
      ctx.globalAlpha = 0.45;
      stroke(ctx, x, top, x, top + height);
      ctx.globalAlpha = 1;
      ctx.beginPath();
      ctx.moveTo(x - 4 * scale, top - 7 * scale);
      ctx.lineTo(x + 4 * scale, top - 7 * scale);
      ctx.lineTo(x, top);
      ctx.fill();
    }
    ctx.restore();
  }

  #moved(u: uPlot): void {
    const i = u.cursor.idx ?? null;
    const at = u.cursor.left !== undefined && u.cursor.left >= 0 ? i : null;
    if (at !== this.state.at) this.setState({ at });
  }

  #nearest(i: number | null): void {
    const near = i === null ? -1 : i - 1;
    if (near === this.#near) return;
    this.#near = near;
    this.forceUpdate();
  }

  /** Where the moment that is read lies among these; of one that is gone, the next. */
  #place(t: ArrayLike<number | null> | undefined): number | null {
    const read = this.#read;
    if (t === undefined || read === null) return null;
    const i = Array.from(t).findIndex((s) => s !== null && s >= read);
    return i < 0 ? null : i;
  }

  #stay(): void {
    const i = this.#place(this.#plot?.data[0]);
    if (i !== null) this.#point(i);
  }

  /** Of the columns that there are now, which is told. The cursor follows when they are drawn. */
  #shown(): number {
    const t = this.props.data[0] ?? [];
    return (this.#read !== null ? this.#place(t) : this.state.at) ?? t.length - 1;
  }

  #cursor(i: number | null): void {
    this.#read = i === null ? null : (this.props.data[0]?.[i] ?? null);
    this.#point(i);
    this.forceUpdate();
  }

  #point(i: number | null): void {
    const u = this.#plot;
    if (!u) return;
    if (i === null) u.setCursor({ left: -10, top: -10 });
    else u.setCursor({ left: u.valToPos(u.data[0][i] as number, "x"), top: u.over.clientHeight / 2 });
  }

  #key = (e: KeyboardEvent): void => {
    const n = this.props.data[0]?.length ?? 0;
    const now = this.#shown();
    const stride = e.shiftKey ? 10 : 1;
    const to: Record<string, number> = { ArrowLeft: now - stride, ArrowRight: now + stride, Home: 0, End: n - 1 };
    const wanted = to[e.key];
    if (e.key === "Escape") this.#cursor(null);
    if (wanted === undefined || n === 0) return;
    e.preventDefault();
    this.#cursor(Math.max(0, Math.min(n - 1, wanted)));
  };
}

type preactVNode = ReturnType<typeof html>;

function stroke(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

/** Seconds only where two ticks may lie within one minute. */
function times(ticks: readonly number[]): string[] {
  const close = ticks.length > 1 && (ticks[1] as number) - (ticks[0] as number) < 60;
  return ticks.map((s) => clock(1000 * s).slice(0, close ? 8 : 5));
}
