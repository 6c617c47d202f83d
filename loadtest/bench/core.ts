// SPDX-License-Identifier: Apache-2.0
// core.* rows: marllb-corebench measures, this holds the figures against the bars.
import { existsSync } from "node:fs";
import { Child, nativeBin } from "../process.js";
import type { Group } from "./harness.js";
import { type Estimate, row } from "./row.js";

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
    const program = nativeBin("marllb-corebench");
    if (!existsSync(program)) throw new Error(`${program} is missing: run npm run build`);
    const child = new Child([program, ...(o.quick ? ["--quick"] : [])]);
    const ended = child.exited;
    for (;;) {
      const text = await Promise.race([child.line(120_000).catch(() => null), ended.then(() => sleepThenNull())]);
      if (text === null) break;
      const r = JSON.parse(text) as Estimate & { id: string; unit: string; note?: string };
      o.report(row(r.id, r.unit, bars[r.id] ?? "", r, r.note ?? ""));
    }
    if ((await ended) !== 0) throw new Error(`marllb-corebench failed: ${child.stderr}`);
  },
};

const sleepThenNull = () => new Promise<null>((resolve) => setTimeout(() => resolve(null), 200));
