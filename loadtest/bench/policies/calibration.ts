// SPDX-License-Identifier: Apache-2.0
// policy.calibration.rows_off and sim.flows_per_s: is the simulator right, and is it fast.
import type { BenchOptions, Group } from "../harness.js";
import { exact, mean, row } from "../row.js";
import { family, of } from "./sim.js";

/** The table of docs/scenarios.md, Calibration: strategy, mean, p99, their half-widths at n = 2000. */
const table: readonly [string, number, number, number, number][] = [
  ["LSQ", 1.301, 1.535, 0.015, 0.03],
  ["SED", 1.368, 1.537, 0.025, 0.036],
  ["true+alias", 1.714, 2.116, 0.026, 0.043],
  ["true+p2c@kappa=1/M", 1.194, 1.222, 0.009, 0.011],
  ["true+sed", 1.158, 1.16, 0.011, 0.011],
  ["true+sed@kappa=1/M", 1.103, 1.118, 0.007, 0.008],
  ["kalman-v1+sed", 1.131, 1.182, 0.006, 0.01],
];

async function calibrate(o: BenchOptions): Promise<void> {
  const n = o.quick ? 200 : 2000;
  const tolerance = 2.5 * Math.sqrt(2000 / n);
  o.progress(`calibration: ${n} scenarios, ${table.length} strategies and the oracle`);
  const f = await family({ n, strategies: ["oracle", ...table.map((t) => t[0])] });
  const off: string[] = [];
  const seen: string[] = [];
  for (const [name, m, p, hm, hp] of table) {
    const s = of(f.strategies, name);
    const bad = Math.abs(s.mean.value - m) > tolerance * hm || Math.abs(s.p99.value - p) > tolerance * hp;
    if (bad) off.push(name);
    seen.push(`${name} ${s.mean.value.toFixed(3)}/${s.p99.value.toFixed(3)} (${m}/${p})`);
  }
  const value = exact(off.length, n);
  const scale = o.quick ? `, half-widths scaled to n = ${n}` : "";
  o.report(row("policy.calibration.rows_off", "rows", "<= 0", value, `n = ${n}${scale}; here (table): ${seen.join(", ")}`));
}

async function speed(o: BenchOptions): Promise<void> {
  const rates: number[] = [];
  for (let i = 0; i < 5; i++) {
    const f = await family({
      n: o.quick ? 60 : 200,
      seed: i + 1,
      strategies: ["kalman-v1+sed"],
      references: ["kalman-v1+sed"],
      threads: 1,
    });
    rates.push(f.flows / f.cpu_s);
  }
  const note = "family v1, kalman-v1+sed, drawing the scenarios and all measures included; flows per second of CPU, 5 runs";
  o.report(row("sim.flows_per_s", "flows/s", ">= 2000000", mean(rates), note));
}

export const calibration: Group = {
  ids: ["sim.flows_per_s", "policy.calibration.rows_off"],
  async run(o) {
    if (o.wants("sim.flows_per_s")) await speed(o);
    if (o.wants("policy.calibration.rows_off")) await calibrate(o);
  },
};
