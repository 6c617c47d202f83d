// SPDX-License-Identifier: Apache-2.0
// Rows of bench:policies as the tables of docs/evaluation.md. A table stands there between <!-- table: NAME --> and <!-- end -->.
import type { Row } from "../row.js";
import { heuristics, others, truths } from "./baselines.js";
import { capacityStrategies } from "./capacity.js";

const models: readonly { id: string; name: string }[] = [
  { id: "marl", name: "**marl** (shipped)" },
  { id: "sac_gru", name: "sac-gru" },
  { id: "qmix", name: "qmix" },
];

const v1Models: readonly { id: string; name: string }[] = [
  { id: "marl_hint", name: "**marl** (shipped)" },
  { id: "marl", name: "marl, no envelope" },
  { id: "marl_gossip", name: "marl, counts shared each 20 ms" },
];

const number = (v: number | null): string => (v === null ? "-" : v.toFixed(3));

function interval(r: Row | undefined): string {
  if (!r || r.value === null) return "-";
  return r.low === r.value || r.low === null || r.high === null
    ? number(r.value)
    : `${number(r.value)} [${number(r.low)}, ${number(r.high)}]`;
}

function verdict(r: Row): string {
  return r.pass === null ? "stated" : r.pass ? "met" : "missed";
}

function markdown(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...lines.map(line)].join("\n");
}

/** Names by rows, figures by columns; a row's id is PREFIX ID FIGURE. */
function pivot(
  rows: readonly Row[],
  prefix: string,
  list: readonly { id: string; name: string }[],
  figures: Record<string, string>,
): string {
  const find = (id: string): Row | undefined => rows.find((r) => r.id === id);
  const lines = list
    .map((x) => [x.name, ...Object.keys(figures).map((f) => interval(find(`${prefix}${x.id}${f}`)))])
    .filter((cells) => cells.slice(1).some((c) => c !== "-"));
  return markdown(["strategy", ...Object.values(figures)], lines);
}

/** Rows as they are, with their bars; notes beneath where they say more. */
function plain(rows: readonly Row[], prefixes: readonly string[], notes: boolean): string {
  const mine = rows.filter((r) => prefixes.some((p) => r.id.startsWith(p)));
  const table = markdown(
    ["row", "value", "bar", ""],
    mine.map((r) => [r.id, interval(r), r.bar || "-", verdict(r)]),
  );
  return notes
    ? [table, ...mine.map((r) => `- ${r.id}: ${r.note}`)]
        .join("\n\n")
        .replace(/\n\n- /g, "\n- ")
        .replace("\n- ", "\n\n- ")
    : table;
}

const isBar = (r: Row): boolean => r.bar !== "";

function capacityTable(rows: readonly Row[]): string {
  const prefix = "policy.capacity_at_p99.";
  const figures = { _vs_leastconn: "weights equal, over least connections", _vs_sed_right_weights: "weights right, over SED" };
  const list = rows.filter((r) => r.id.startsWith(`${prefix}marl`)).map((r) => `- ${r.id}: ${r.note}`);
  return [pivot(rows, prefix, [...models, ...capacityStrategies], figures), list.join("\n")].join("\n\n");
}

/** Of what, and of how many scenarios. */
function said(rows: readonly Row[], commit: string): string {
  const n = (prefix: string): string => String(rows.find((r) => r.id.startsWith(prefix) && r.n > 0)?.n ?? 0);
  const families = `family v1 ${n("policy.family.")} scenarios, family v2 ${n("policy.v2.")}, ablations ${n("policy.ablation.")}`;
  return `Figures of commit ${commit}: ${families}.`;
}

export function tables(rows: readonly Row[], commit: string): Map<string, string> {
  const over = { ".mean_vs_best_heuristic": "mean", ".p99_vs_best_heuristic": "p99" };
  return new Map([
    ["bars", plain(rows.filter(isBar), [""], false)],
    ["v2", pivot(rows, "policy.v2.", [...models, ...heuristics, ...others, ...truths], over)],
    [
      "v1",
      pivot(rows, "policy.family.", [...v1Models, ...heuristics, ...others], {
        ".mean_vs_oracle": "mean",
        ".p99_vs_oracle": "p99",
      }),
    ],
    ["capacity", capacityTable(rows)],
    ["llm", plain(rows, ["policy.llm."], true)],
    ["situations", plain(rows, ["policy.named2.", "policy.hole.", "policy.keepalive.", "policy.rtt.", "policy.bigsmall."], true)],
    ["ablation", plain(rows, ["policy.ablation."], true)],
    ["commit", said(rows, commit)],
  ]);
}

/** The document with every table replaced; one that it does not have, or a mark without an end, is an error. */
export function fill(document: string, made: ReadonlyMap<string, string>): string {
  let text = document;
  for (const [name, table] of made) {
    const from = `<!-- table: ${name} -->`;
    const start = text.indexOf(from);
    const end = text.indexOf("<!-- end -->", start);
    if (start < 0 || end < 0) throw new Error(`docs/evaluation.md: expected ${from} and <!-- end --> behind it`);
    text = `${text.slice(0, start + from.length)}\n\n${table}\n\n${text.slice(end)}`;
  }
  return text;
}
