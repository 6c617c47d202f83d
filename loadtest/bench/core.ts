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
    if (o.wants("core.a") || ![...churns.map((c) => c.id), longest].some((id) => o.wants(id))) {
      await figures(o.quick, undefined, (r) => o.report(row(r.id, r.unit, bars[r.id] ?? "", r, r.note ?? "")));
      if (o.before) await compareWith(o, o.before);
    }
    for (const c of churns) if (o.wants(c.id)) await churn(o, c);
    if (o.wants(longest)) await steps(o);
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

const longest = "core.step_longest_ms";

/** How long main stands still at 16 384 servers: its longest step, of a frame or with vectors for every VIP. */
async function steps(o: BenchOptions): Promise<void> {
  for (const [name, vips] of [
    ["16_vips", 16],
    ["1024_vips", 1024],
  ] as const) {
    const child = new Child([nativeBin("marllb-corepoll"), "--vips", String(vips), "--frames", o.quick ? "20" : "200"]);
    const r = JSON.parse(await child.line(600_000)) as Record<"step_ms" | "step_ms_max" | "frame_ms" | "vectors_ms_max", number>;
    if ((await child.exited) !== 0) throw new Error(`marllb-corepoll failed: ${child.stderr}`);
    const note = `16 384 servers, 2 workers; a frame's longest step, median ${r.step_ms}; a frame ${r.frame_ms} of processor time`;
    o.report(row(`${longest}.${name}`, "ms", "<= 10", exact(Math.max(r.step_ms_max, r.vectors_ms_max), 1), note));
  }
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
