// SPDX-License-Identifier: Apache-2.0
// trust.guardrail.false_trips_per_week: what the guardrail does to a policy that does no harm, on the traffic, pools and disturbances of
// family v1 (docs/scenarios.md), each scenario two hours long. marllb-sim says what the load balancers count.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type GuardCounts, Guardrail } from "../../../services/common/trial/guardrail.js";
import { nativeBin } from "../../../testbed/process.js";
import type { BenchOptions } from "../harness.js";
import { exact, row } from "../row.js";

const HOURS = 2;
const WEEK_H = 168;
const T0 = 1_700_000_000_000;
/** As inference has it (services/inference/trials.ts). */
const USUAL = { share: 0.02, blockMs: 10_000, seed: 20_260_101, learnS: 300 };
/** Not the one that the thresholds were chosen on (7). */
const SCENARIOS_SEED = "41";

interface Tripped {
  scenario: number;
  atS: number;
  evidence: string;
}

/** What was done to the policy, and how often it was suspected. */
interface Watched {
  trips: Tripped[];
  suspicions: number;
}

async function watched(scenarios: number, strategy: string): Promise<Watched> {
  const args = [
    "counts",
    "v1",
    "--seed",
    SCENARIOS_SEED,
    "--n",
    String(scenarios),
    "--horizon",
    String(3600 * HOURS),
    "--strategy",
    strategy,
  ];
  const sim = spawn(nativeBin("marllb-sim"), args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve, reject) => sim.once("error", reject).once("close", resolve));
  const guards = new Map<number, Guardrail>();
  const seen: Watched = { trips: [], suspicions: 0 };
  for await (const line of createInterface({ input: sim.stdout })) {
    const [scenario, lb, atS, flowS, newFlows, done] = line.split(" ").map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    let guard = guards.get(scenario);
    if (!guard) guards.set(scenario, (guard = new Guardrail(USUAL)));
    const counts: GuardCounts = { flowUs: flowS * 1e6, newFlows, ended: done, ttfbUs: 0, answers: 0 };
    for (const { kind, evidence } of guard.hear(`lb${lb}`, counts, T0 + Math.round(1000 * atS))) {
      if (kind === "suspected") seen.suspicions++;
      if (kind === "down") seen.trips.push({ scenario, atS, evidence });
    }
  }
  const code = await ended;
  if (code !== 0) throw new Error(`marllb-sim counts ended with code ${code}`);
  return seen;
}

export async function falseTrips(o: BenchOptions): Promise<void> {
  const scenarios = o.quick ? 6 : WEEK_H / HOURS;
  const weeks = (scenarios * HOURS) / WEEK_H;
  o.progress(`trust: ${scenarios} scenarios of family v1, ${HOURS} h each, under the guardrail`);
  const { trips, suspicions } = await watched(scenarios, "kalman+sed");
  for (const t of trips.slice(0, 20)) o.progress(`scenario ${t.scenario} at ${t.atS.toFixed(0)} s: ${t.evidence}`);
  const pools = new Set(trips.map((t) => t.scenario)).size;
  const note = `${trips.length} trips at ${pools} of ${scenarios} pools in ${weeks.toFixed(2)} weeks of family v1 under kalman+sed; ${suspicions} suspicions, in each of which the reference rules for half a minute at most`;
  o.report(row("trust.guardrail.false_trips_per_week", "", "<= 1", exact(trips.length / weeks, scenarios), note));
}
