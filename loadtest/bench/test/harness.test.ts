// SPDX-License-Identifier: Apache-2.0
// A misspelt row must not look like a benchmark that ran.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import test from "ava";
import { projectRoot } from "../../../services/common/root.js";

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(projectRoot, "dist/loadtest/bench/policies.js"), ...args], { encoding: "utf8" });

for (const only of ["policy.nonsense", "policy.jain.nonsense"]) {
  test(`--only ${only} is refused, with the rows that there are`, (t) => {
    const r = bench("--only", only);
    t.is(r.status, 2);
    t.is(r.stdout, "");
    t.regex(r.stderr, new RegExp(`--only ${only}: no such row; there are: .*policy\\.jain\\.`));
  });
}

test("every row of the policies is listed", (t) => {
  const r = bench("--help");
  t.is(r.status, 0);
  for (const id of [
    ..."sim.flows_per_s policy.calibration.rows_off policy.family. policy.named.marl_exact.worst_vs_sed".split(" "),
    ..."policy.named.marl.worst_vs_sed policy.jain. policy.tick.worst_vs_200ms policy.n1024.mean_vs_kalman".split(" "),
    ..."policy.envelope.adversary_vs_sed inference.tick64_p99_ms inference.lbs_per_core tcp.policy_order".split(" "),
  ]) {
    t.true(r.stdout.includes(id), id);
  }
});
