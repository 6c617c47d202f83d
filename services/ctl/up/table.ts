// SPDX-License-Identifier: Apache-2.0
// One message of ShmAgent.StreamStats as lines for people: the live table, and the plain line where there is no terminal.
import type { StreamStatsResponse__Output as Stats } from "../../../gen/marllb/v1/StreamStatsResponse.js";
import { END_MS } from "../../common/histogram.js";
import { wireLadder, wireMode } from "../../common/vocabulary.js";

export interface Extra {
  /** Names and virtual cores of the demo's servers by address; empty for real ones. */
  demo: Map<string, { name: string; cores: number }>;
  /** What the demo's clients measured in the last second. */
  load?: { sent: number; answered: number; failed: number; p50_ms: number | null; p95_ms: number | null };
  /** Jain's index of the demo servers' load: flows per true core, averaged over the last seconds. */
  jainLoad?: number;
  /** "inference restarted 2 times", ... */
  notes: readonly string[];
  colour: boolean;
  /** Failed connects and flows that ended early as well. */
  wide?: boolean;
}

/** Beyond the usual columns, each with what it counts since the server joined. */
const WIDE: readonly [title: string, count: (v: Stats["servers"][number]) => string][] = [
  ["refused", (v) => v.refusals],
  ["silent", (v) => v.unanswered],
  ["unmade", (v) => v.unmade],
  ["ejected", (v) => v.ejections],
  ["reset", (v) => v.resets],
  ["late", (v) => v.late_resets],
  ["empty", (v) => v.empty_ends],
  ["quick ends", (v) => v.quick_ends],
  ["quick answers", (v) => v.quick_answers],
];

const ms = (v: number | null | undefined): string =>
  v === null || v === undefined || !(v >= 0)
    ? "-"
    : v === Number.POSITIVE_INFINITY
      ? `>${END_MS}`
      : v < 10
        ? v.toFixed(1)
        : v.toFixed(0);
const percent = (v: number): string => `${(100 * v).toFixed(1)}%`;

/** The agent knows the configured weights only; for the demo the launcher knows better. */
const jainText = (s: Stats, extra: Extra): string =>
  extra.jainLoad === undefined ? `${s.jain.toFixed(3)}` : `${extra.jainLoad.toFixed(3)}*`;

/** Why a policy decides that nobody ordered. */
const turnText = (vip: Stats["vip"]): string =>
  vip?.source === "inference" && vip.turn_of !== "" && vip.turn_of !== "order" ? ` (${vip.turn_of})` : "";

const red = (s: string, on: boolean): string => (on ? `\x1b[31m${s}\x1b[0m` : s);
const bold = (s: string, on: boolean): string => (on ? `\x1b[1m${s}\x1b[0m` : s);

/** Pads by the visible text, then lets `paint` colour it. */
function row(
  cells: readonly string[],
  widths: readonly number[],
  left: number,
  paint: (cell: string, i: number) => string,
): string {
  return cells
    .map((c, i) => paint(i < left ? c.padEnd(widths[i] as number) : c.padStart(widths[i] as number), i))
    .join("  ")
    .trimEnd();
}

export function table(s: Stats, extra: Extra): string[] {
  const vip = s.vip;
  const load = extra.load;
  const head = [
    `VIP ${vip?.name} ${vip?.address}`,
    `${vip?.policy || "-"}+${wireMode.word(vip?.mode ?? "")}${turnText(vip)}`,
    `ladder ${wireLadder.word(vip?.ladder ?? "")}`,
    `tick ${ms(vip?.effect_ms)} ms`,
    `Jain ${jainText(s, extra)}`,
    `${s.new_flows_per_s.toFixed(0)} flows/s`,
    `p50/p95 ${ms(s.ttfb_p50_ms)}/${ms(s.ttfb_p95_ms)} ms`,
  ].join("   ");
  const titles = [
    "server",
    "state",
    "share",
    "flows",
    "new",
    "done",
    "p50 ms",
    "p95 ms",
    ...(extra.wide ? WIDE.map(([title]) => title) : []),
    ...(extra.demo.size > 0 ? ["cores*"] : []),
  ];
  const rows = s.servers.map((v) => {
    const demo = extra.demo.get(v.address);
    const cells = [
      demo ? `${demo.name} ${v.address}` : v.address,
      v.state,
      percent(v.share),
      String(v.flows),
      v.new_flows,
      v.completions,
    ];
    cells.push(ms(v.ttfb_p50_ms), ms(v.ttfb_p95_ms));
    if (extra.wide) cells.push(...WIDE.map(([, count]) => count(v)));
    return demo ? [...cells, String(demo.cores)] : cells;
  });
  const widths = titles.map((t, i) => Math.max(t.length, ...rows.map((r) => (r[i] ?? "").length)));
  const lines = [bold(head, extra.colour), row(titles, widths, 2, (c) => c)];
  for (const cells of rows) lines.push(row(cells, widths, 2, (c, i) => red(c, extra.colour && i === 1 && cells[1] !== "up")));
  if (load) {
    lines.push(
      `clients: ${load.answered} answered, ${load.failed} failed, p50/p95 ${ms(load.p50_ms)}/${ms(load.p95_ms)} ms in the last second`,
    );
  }
  if (extra.demo.size > 0) lines.push("* by the true capacity of the demo servers, which nobody tells the load balancer");
  for (const note of extra.notes) lines.push(red(note, extra.colour));
  return lines;
}

/** One line for logs and pipes. */
export function plainLine(s: Stats, extra: Extra, seconds: number): string {
  const vip = s.vip;
  const servers = s.servers.map((v) => {
    const name = extra.demo.get(v.address)?.name ?? v.address;
    return `${name}${v.state === "up" ? "" : `(${v.state})`} ${percent(v.share)}/${v.flows}`;
  });
  const clients = extra.load ? ` clients=${extra.load.answered}/${extra.load.failed}` : "";
  return [
    `${seconds.toFixed(0)}s ${vip?.name} policy=${vip?.policy || "-"} mode=${wireMode.word(vip?.mode ?? "")}`,
    `ladder=${wireLadder.word(vip?.ladder ?? "")} tick=${ms(vip?.effect_ms)}ms jain=${(extra.jainLoad ?? s.jain).toFixed(3)}`,
    `flows/s=${s.new_flows_per_s.toFixed(0)} p50=${ms(s.ttfb_p50_ms)}ms p95=${ms(s.ttfb_p95_ms)}ms${clients} share/flows: ${servers.join(", ")}`,
  ].join(" ");
}
