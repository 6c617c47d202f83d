// SPDX-License-Identifier: Apache-2.0
// Runs marllb-sim and reads its JSON.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { nativeBin } from "../../../testbed/process.js";
import type { Estimate } from "../row.js";

export interface Interval {
  value: number;
  low: number;
  high: number;
}

/** Geometric means of ratios, scenario by scenario, and the means of their largest tenths. */
export interface Over {
  mean: Interval;
  mean_worst_tenth: number;
  p99: Interval;
  p99_worst_tenth: number;
}

export interface FamilyStrategy {
  strategy: string;
  measured: number;
  refused: number;
  failed: number;
  mean: Interval;
  p99: Interval;
  /** Over each reference, by its name. */
  over: Record<string, Over>;
  /** Over the best, scenario by scenario, of those that were asked for. */
  best?: Over;
}

export interface Family {
  n: number;
  flows: number;
  cpu_s: number;
  strategies: FamilyStrategy[];
}

export interface NamedStrategy {
  strategy: string;
  flows: number;
  refused: number;
  failed: number;
  mean_ms: number;
  p99_ms: number;
  jain: number;
  /** Of the flows that each server got, by configured weight. */
  flows_jain: number | null;
  /** Seconds until a server that was slow has half of its share again. */
  back_s: number | null;
  mean_ratio: Interval;
  p99_ratio: Interval;
}

export interface Named {
  scenario: string;
  seeds: number;
  strategies: NamedStrategy[];
}

/** Seeds of the test; training and selection use others (models' cards name them). */
export const testSeed = 20261122;
export const testSeedV2 = 20261128;
export const selectionSeed = 500000000;

async function sim(args: readonly string[]): Promise<unknown> {
  const program = nativeBin("marllb-sim");
  if (!existsSync(program)) throw new Error(`${program} is missing: run npm run build`);
  const child = spawn(program, [...args, "--json"], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (d: Buffer) => void (out += d.toString()));
  child.stderr.on("data", (d: Buffer) => void (err += d.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(`marllb-sim ${args.join(" ")}: ended with ${code}: ${err.trim()}`);
  return JSON.parse(out);
}

export async function family(o: {
  name?: "v1" | "v2";
  n: number;
  seed?: number;
  strategies: readonly string[];
  references?: readonly string[];
  /** Strategies whose best in each scenario all are held against. */
  best?: readonly string[];
  threads?: number;
}): Promise<Family> {
  const args = [
    "family",
    o.name ?? "v1",
    "--n",
    String(o.n),
    "--seed",
    String(o.seed ?? testSeed),
    "--strategy",
    o.strategies.join(","),
  ];
  if (o.references) args.push("--reference", o.references.join(","));
  if (o.best) args.push("--best", o.best.join(","));
  if (o.threads) args.push("--threads", String(o.threads));
  return (await sim(args)) as Family;
}

export async function named(
  name: string,
  o: { strategies: readonly string[]; reference: string; seeds?: number; tickMs?: number },
): Promise<Named> {
  const args = ["named", name, "--seed", String(testSeed), "--strategy", o.strategies.join(","), "--reference", o.reference];
  if (o.seeds) args.push("--n", String(o.seeds));
  if (o.tickMs) args.push("--tick-ms", String(o.tickMs));
  const r = (await sim(args)) as { scenarios: Named[] };
  return r.scenarios[0] as Named;
}

/** A scenario file over seeds. */
export async function file(
  name: string,
  o: { strategies: readonly string[]; reference: string; seeds: number; seed?: number },
): Promise<Named> {
  const seeds = ["--n", String(o.seeds), "--seed", String(o.seed ?? testSeed)];
  const args = ["run", name, ...seeds, "--strategy", o.strategies.join(","), "--reference", o.reference];
  const r = (await sim(args)) as { scenarios: Named[] };
  return r.scenarios[0] as Named;
}

/** One run of a scenario file; figures by strategy. */
export async function scenario(
  file: string,
  o: { strategies: readonly string[]; seed: number },
): Promise<Map<string, { mean_ms: number; p99_ms: number }>> {
  const r = (await sim(["run", file, "--strategy", o.strategies.join(","), "--seed", String(o.seed), "--n", "1"])) as {
    scenarios: Named[];
  };
  return new Map(r.scenarios[0]?.strategies.map((s) => [s.strategy, s]));
}

export function of<T extends { strategy: string }>(list: readonly T[], strategy: string): T {
  const found = list.find((s) => s.strategy === strategy);
  if (!found) throw new Error(`marllb-sim gave no figures for ${strategy}`);
  return found;
}

export const estimate = (i: Interval, n: number): Estimate => ({ value: i.value, low: i.low, high: i.high, n });
