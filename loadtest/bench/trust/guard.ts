// SPDX-License-Identifier: Apache-2.0
// trust.guardrail.*: how soon a policy that does harm is out of force, and what is not blamed on a policy.
import { Guardrail } from "../../../services/common/trial/guardrail.js";
import type { BenchOptions } from "../harness.js";
import { exact, quantile, row } from "../row.js";
import { falseTrips } from "./false-trips.js";
import { guardPath } from "./guard-path.js";
import { HARMS, type Harm, Pool, STEP_MS } from "./pool.js";

const T0 = 1_700_000_000_000;
const KNOWN_S = 700;
const LONGEST_S = 300;

interface Ended {
  /** Seconds until the reference rules; until the policy is down; of these, under the policy. Infinite: never. */
  withdrawnS: number;
  downS: number;
  underS: number;
}

function watched(seed: number, begins: (pool: Pool) => void): Ended {
  const guard = new Guardrail({ share: 0, blockMs: 10_000, seed: 1, learnS: 300 });
  const pool = new Pool(seed);
  let at = T0;
  const step = (): boolean => {
    const reference = guard.referenceAt(at);
    at += STEP_MS;
    guard.hear("edge1", pool.step(reference), at);
    return reference;
  };
  while (at < T0 + 1000 * KNOWN_S) step();
  const from = at;
  begins(pool);
  const e: Ended = { withdrawnS: Number.POSITIVE_INFINITY, downS: Number.POSITIVE_INFINITY, underS: 0 };
  while (!guard.down(at) && at < from + 1000 * LONGEST_S) {
    if (!step()) e.underS += STEP_MS / 1000;
    if (guard.referenceAt(at)) e.withdrawnS = Math.min(e.withdrawnS, (at - from) / 1000);
  }
  if (guard.down(at)) e.downS = (at - from) / 1000;
  return e;
}

function trips({ quick, report }: BenchOptions): void {
  const n = quick ? 20 : 200;
  const seen = new Map<Harm, Ended[]>(
    HARMS.map((kind) => [kind, Array.from({ length: n }, (_, i) => watched(i + 1, (pool) => pool.harm(kind)))]),
  );
  const said = [...seen].map(([kind, all]) => {
    const of = (f: (e: Ended) => number): string => quantile(all.map(f), 0.5).value.toFixed(1);
    return `${kind}: ${of((e) => e.withdrawnS)} s, for good after ${of((e) => e.downS)} s of which it ruled ${of((e) => e.underS)} s`;
  });
  const all = [...seen.values()].flat();
  report(
    row(
      "trust.guardrail.trip_s",
      "s",
      "<= 10",
      quantile(
        all.map((e) => e.withdrawnS),
        0.99,
      ),
      `p99 until the reference rules; medians: ${said.join("; ")}; made-up pool of 8 servers`,
    ),
  );
  const missed = all.filter((e) => e.downS > LONGEST_S).length;
  report(
    row("trust.guardrail.harm_missed", "", "<= 0.01", exact(missed / all.length, all.length), `not found in ${LONGEST_S} s`),
  );
}

function alike({ quick, report }: BenchOptions): void {
  const n = quick ? 50 : 500;
  const blamed = Array.from({ length: n }, (_, i) => watched(i + 1, (pool) => pool.slowAlike(2 + (i % 5)))).filter(
    (e) => e.downS <= LONGEST_S,
  ).length;
  const note = `every server 2 to 6 times as slow at once, ${LONGEST_S} s long; steps of the guardrail, of ${n} such`;
  report(row("trust.guardrail.alike_blamed", "", "<= 0.05", exact(blamed / n, n), note));
}

export async function guardrail(o: BenchOptions): Promise<void> {
  if (["trust.guardrail.trip_s", "trust.guardrail.harm_missed"].some((id) => o.wants(id))) trips(o);
  if (o.wants("trust.guardrail.alike_blamed")) alike(o);
  if (o.wants("trust.guardrail.false_trips_per_week")) await falseTrips(o);
  if (["trust.guardrail.path_trip_s", "trust.guardrail.path_alike_blamed"].some((id) => o.wants(id))) await guardPath(o);
}
