// SPDX-License-Identifier: Apache-2.0
// The four charts of a VIP: how long answers take, who gets which share, how much comes, how evenly it is spread.
import type { ConsoleEvent, ServerNow, VipBrief } from "../wire.js";
import { Chart, type Line } from "./chart.js";
import { colour, lineColour } from "./colours.js";
import { byChance, count, fixed, ms, percent } from "./format.js";
import { html, type View } from "./html.js";
import type { Series } from "./series.js";

export interface ChartsProps {
  series: Series;
  brief: VipBrief;
  servers: readonly ServerNow[];
  events: readonly ConsoleEvent[];
  theme: string;
  endMs: number;
  focus: string | undefined;
  capacityKnown: boolean;
}

/** Of more lines than so many every second moment is drawn: a line of 600 points costs as much as the rest of a frame. */
const MANY = 16;
const MANY_STEP = 2;

const inMs = (endMs: number) => (v: number | null) => ms(v, endMs);

export function charts(p: ChartsProps): View {
  const { series: s, brief, events, theme } = p;
  const common = { events, theme, drawn: s.drawn };
  const latency = inMs(p.endMs);
  const ink = colour("accent");
  const percentiles: Line[] = [
    { label: "p50", colour: ink, fill: true },
    { label: "p95", colour: colour("note") },
    { label: "p99", colour: colour("bad"), dash: [4, 3] },
  ];
  const addresses = [...s.servers.keys()].sort();
  const number = new Map(p.servers.map((x, i) => [x.address, i]));
  const shares = addresses.map((a) => ({ label: a, colour: lineColour(number.get(a) ?? addresses.indexOf(a)), width: 1.4 }));
  const drawn = s.moments(addresses.length > MANY ? MANY_STEP : 1);
  const due = [...new Set(p.servers.map((x) => Number(x.due.toFixed(4))))];
  const top = [...p.servers].sort((a, b) => b.share - a.share)[0];
  return html`<div class="charts">
    <${Chart} key="latency" title="Time to first byte" ...${common} lines=${percentiles} format=${latency} low=${0}
      summary=${`Median ${latency(brief.p50)}, 95th percentile ${latency(brief.p95)}, 99th ${latency(brief.p99)}.`}
      data=${[s.t, s.vip.p50, s.vip.p95, s.vip.p99]} />
    <${Chart} key="shares" title=${`Shares of new flows; dashed: ${p.capacityKnown ? "share of the capacity" : "share of the weight"}`} ...${common}
      lines=${shares} format=${percent} quiet low=${0} marks=${due.length <= 8 ? due : []} focus=${p.focus}
      summary=${top ? `Largest: ${top.address} with ${percent(top.share)}, due ${percent(top.due)}.` : "No servers."}
      data=${[drawn(s.t), ...addresses.map((a) => drawn(s.servers.get(a)?.share ?? []))]} />
    <${Chart} key="flows" title="Flows" ...${common} format=${count} low=${0}
      lines=${[{ label: "new per second", colour: ink, fill: true }, { label: "in progress", colour: colour("note") }]}
      summary=${`${count(brief.newFlows)} new flows a second, ${count(brief.flows)} in progress.`}
      data=${[s.t, s.vip.newFlows, s.vip.flows]} />
    <${Chart} key="jain" title=${`Fairness: Jain's index of flows over ${p.capacityKnown ? "capacity" : "weight"}`} ...${common} format=${(v: number | null) => fixed(v, 2)} low=${0} high=${1.02}
      lines=${[
        { label: "1 = even", colour: colour("good"), fill: true },
        { label: "what chance alone leaves of so few flows", colour: colour("muted"), dash: [2, 4] },
      ]}
      summary=${brief.flows < brief.servers ? "Fewer flows than servers have none." : `Now ${fixed(brief.jain, 3)}; 1 is even, and chance alone leaves ${fixed(byChance(brief.flows, brief.servers), 3)}.`}
      data=${[
        s.t,
        s.vip.jain.map((v, i) => ((s.vip.flows[i] ?? 0) < brief.servers ? null : v)),
        s.vip.flows.map((v) => byChance(v, brief.servers)),
      ]} />
  </div>`;
}
