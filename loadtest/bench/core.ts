// SPDX-License-Identifier: Apache-2.0
// core.* rows: marllb-corebench measures, this holds the figures against the bars.
import { existsSync } from "node:fs";
import { Child, nativeBin } from "../process.js";
import type { BenchOptions, Group } from "./harness.js";
import { type Estimate, ratio, row } from "./row.js";

const bars: Record<string, string> = {
  "core.alias_draw_ns": "<= 10",
  "core.alias_build_1024_us": "<= 20",
  "core.sed64_ns": "<= 40",
  "core.sed64_portable_ns": "<= 80",
  "core.flow_lookup_1m_vs_unbatched": "<= 0.5",
};

export const core: Group = {
  ids: ["core."],
  async run(o) {
    await figures(o.quick, undefined, (r) => o.report(row(r.id, r.unit, bars[r.id] ?? "", r, r.note ?? "")));
    if (o.before) await compareWith(o, o.before);
  },
};

type Figure = Estimate & { id: string; unit: string; note?: string };

async function figures(quick: boolean, checkout: string | undefined, each: (f: Figure) => void): Promise<void> {
  const program = nativeBin("marllb-corebench", checkout);
  if (!existsSync(program)) throw new Error(`${program} is missing: run npm run build`);
  const child = new Child([program, ...(quick ? ["--quick"] : [])]);
  const ended = child.exited;
  for (;;) {
    const text = await Promise.race([child.line(120_000).catch(() => null), ended.then(() => sleepThenNull())]);
    if (text === null) break;
    each(JSON.parse(text) as Figure);
  }
  if ((await ended) !== 0) throw new Error(`marllb-corebench failed: ${child.stderr}`);
}

/** Both programs in turn (A B B A ...), short runs of each: one ratio a pair. */
async function compareWith(o: BenchOptions, before: string): Promise<void> {
  const seen: Map<string, number>[][] = [[], []];
  for (const side of [0, 1, 1, 0, 0, 1, 1, 0]) {
    const values = new Map<string, number>();
    await figures(true, side ? before : undefined, (f) => values.set(f.id, f.value));
    (seen[side] as Map<string, number>[]).push(values);
  }
  const [now = [], then = []] = seen;
  for (const id of (now[0] ?? new Map<string, number>()).keys()) {
    const ratios = now.map((m, i) => (m.get(id) as number) / (then[i]?.get(id) ?? Number.NaN)).filter(Number.isFinite);
    if (ratios.length > 0) o.report(row(`${id}.vs_before`, "ratio", "", ratio(ratios), `${before} in turn`));
  }
}

const sleepThenNull = () => new Promise<null>((resolve) => setTimeout(() => resolve(null), 200));
