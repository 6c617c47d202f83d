// SPDX-License-Identifier: Apache-2.0
// core.* rows: marllb-corebench measures and marllb-corechurn churns; this holds the figures against the bars.
import { existsSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "../../services/common/root.js";
import { Child, nativeBin } from "../../testbed/process.js";
import type { BenchOptions, Group } from "./harness.js";
import { type Estimate, exact, ratio, row } from "./row.js";

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
    if (o.wants("core.a") || !churns.some((c) => o.wants(c.id))) {
      await figures(o.quick, undefined, (r) => o.report(row(r.id, r.unit, bars[r.id] ?? "", r, r.note ?? "")));
      if (o.before) await compareWith(o, o.before);
    }
    for (const c of churns) if (o.wants(c.id)) await churn(o, c);
  },
};

interface Churn {
  id: string;
  /** Build folder: a sanitizer's build is made by `npm test -- --only asan` or `tsan`. */
  build: string;
  args: readonly string[];
  quick: readonly string[];
}

const churns: readonly Churn[] = [
  {
    id: "core.vip_removals",
    build: "native",
    args: ["vip-removals", "--count", "100000"],
    quick: ["vip-removals", "--count", "2000"],
  },
  {
    id: "core.vip_removals.asan",
    build: "asan",
    args: ["vip-removals", "--count", "10000"],
    quick: ["vip-removals", "--count", "500"],
  },
  {
    id: "core.server_changes.tsan",
    build: "tsan",
    args: ["server-changes", "--seconds", "600"],
    quick: ["server-changes", "--seconds", "10"],
  },
];

/** Value: flows that were lost or whose server changed under them. A sanitizer's report ends the program, and the row fails. */
async function churn(o: BenchOptions, c: Churn): Promise<void> {
  const program = path.join(projectRoot, "build", c.build, "bin", "marllb-corechurn");
  if (!existsSync(program)) {
    o.report(row(c.id, "flows", "<= 0", null, `no ${program}: npm test -- --only ${c.build} builds it`));
    return;
  }
  const child = new Child([program, ...(o.quick ? c.quick : c.args)], {
    env: { ...process.env, TSAN_OPTIONS: "halt_on_error=1" },
  });
  const text = await Promise.race([child.line(3_600_000).catch(() => null), child.exited.then(() => sleepThenNull())]);
  if (text === null) throw new Error(`marllb-corechurn ${c.args.join(" ")}: ${child.stderr.slice(0, 4000)}`);
  await child.exited;
  const r = JSON.parse(text) as { done: number; flows: number; lost: number; wrong: number; seconds: number };
  const bad = r.lost + r.wrong;
  o.report(row(c.id, "flows", "<= 0", exact(bad, 1), `${r.done} in ${r.seconds} s under ${r.flows} flows`));
}

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
