// SPDX-License-Identifier: Apache-2.0
// policy.llm.*: a pool that serves language models (llm-trace.ts), over the best heuristic in hindsight.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { BenchOptions, Group } from "../harness.js";
import { ratio, row } from "../row.js";
import { heuristics, others, strategiesOf } from "./baselines.js";
import { llmTrace, meanSizeMs } from "./llm-trace.js";
import { absent, marl } from "./models.js";
import { scenario } from "./sim.js";

const load = 0.75;
const seconds = 1500;
const warmup = 200;
/** A replica keeps its speed up to 16 requests at a time; the older generation has half of it. */
const places = 16;
const groups = [
  { count: 6, speed: 1 },
  { count: 6, speed: 0.5 },
] as const;

function file(folder: string, seed: number, rightWeights: boolean): string {
  const capacity = groups.reduce((sum, g) => sum + g.count * g.speed * places, 0);
  const trace = path.join(folder, `trace-${seed}.txt`);
  writeFileSync(trace, llmTrace(seed, (load * capacity * 1000) / meanSizeMs(), seconds));
  const text = {
    name: "llm",
    servers: groups.map((g) => ({ count: g.count, cores: places, speed: g.speed, ...(rightWeights ? {} : { weight: 1 }) })),
    server: { slots: 64, backlog: 256 },
    load_balancers: 4,
    sizes: { kind: "constant", mean_ms: 4000 },
    arrivals: { kind: "trace", file: trace },
    timeout_s: 600,
    duration_s: seconds,
    warmup_s: warmup,
  };
  const name = path.join(folder, `llm-${seed}.json`);
  writeFileSync(name, JSON.stringify(text));
  return name;
}

interface Figures {
  mean_ms: number;
  p99_ms: number;
}

async function one(o: BenchOptions, right: boolean, strategy: string, folder: string): Promise<void> {
  const list = [...strategiesOf(heuristics), ...strategiesOf(others), strategy];
  const seeds = o.quick ? [1, 2] : [1, 2, 3, 4, 5, 6];
  const runs: Map<string, Figures>[] = [];
  for (const seed of seeds) {
    o.progress(`llm: trace ${seed}, weights ${right ? "right" : "equal"}`);
    runs.push(await scenario(file(folder, seed, right), { strategies: list, seed }));
  }
  const sum = (s: string, f: keyof Figures): number => runs.reduce((a, r) => a + (r.get(s) as Figures)[f], 0);
  for (const f of ["mean_ms", "p99_ms"] as const) {
    const best = strategiesOf(heuristics).reduce((a, b) => (sum(b, f) < sum(a, f) ? b : a));
    const e = ratio(runs.map((r) => (r.get(strategy) as Figures)[f] / (r.get(best) as Figures)[f]));
    const told = list.map((s) => `${s.startsWith("model:") ? "marl" : s} ${(sum(s, f) / seeds.length / 1000).toFixed(2)}`);
    const note = `weights ${right ? "right" : "equal"}, load ${load}, 4 load balancers, ${seconds} s; best heuristic is ${best}; s: ${told.join(", ")}`;
    o.report(row(`policy.llm.${right ? "right" : "equal"}.marl.${f.replace("_ms", "")}_vs_best`, "ratio", "", e, note));
  }
}

export const llm: Group = {
  ids: ["policy.llm."],
  async run(o: BenchOptions) {
    const m = marl();
    if (!m.strategy) {
      o.report(row("policy.llm.right.marl.mean_vs_best", "ratio", "", null, absent(m)));
      return;
    }
    const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-llm-"));
    try {
      for (const right of [true, false]) await one(o, right, `${m.strategy}@trust=hint`, folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
