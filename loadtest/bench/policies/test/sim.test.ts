// SPDX-License-Identifier: Apache-2.0
// marllb-sim's command line: what is wrong is said in one line, with a code that is not 0 and nothing on stdout; its JSON is JSON.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { nativeBin } from "../../../../testbed/process.js";

const dir = mkdtempSync(join(tmpdir(), "marllb-sim-"));
test.after.always(() => rmSync(dir, { recursive: true }));

const scenario = {
  name: 'a "quoted" name',
  seeds: 2,
  duration_s: 3,
  warmup_s: 1,
  servers: [{ count: 2, cores: 2 }],
  sizes: { kind: "exponential", mean_ms: 10 },
};
function file(name: string, more: object): string {
  const path = join(dir, name);
  writeFileSync(path, JSON.stringify({ ...scenario, ...more }));
  return path;
}
const busy = file("busy.json", { load: 0.5 });
const idle = file("idle.json", { rate_per_s: 1e-6 });

const sim = (...args: string[]) => spawnSync(nativeBin("marllb-sim"), args, { encoding: "utf8" });

const refused: [args: string[], reason: RegExp][] = [
  [["run", busy, "--reference", "orcale"], /--reference orcale: is not among the strategies/],
  [["run", busy, "--n", "1.5"], /--n 1.5: expected a whole number/],
  [["run", busy, "--n", "0"], /--n 0: expected a number from 1/],
  [["run", busy, "--threads", "0"], /--threads 0: expected a number from 1 to 64/],
  [["run", busy, "--tick-ms", "0.5"], /--tick-ms 0.5: expected a number from 1/],
  [["run", busy, "--gossip", "0.5"], /gossip every 0.5 ms is quicker than its delay/],
  [["run", busy, "--strategy", ","], /--strategy: expected at least one/],
  [
    ["run", busy, "--strategy", "best+sed"],
    /policy "best": expected kalman, peak-ewma, static, uniform, hlb, knapsack, strata, true, avail/,
  ],
  [["run", "--strategy", "SED", busy], /run --strategy: options come last/],
  [["run", dir], /Is a directory/],
  [["run", join(dir, "none.json")], /none.json: No such file or directory/],
  [["run", busy, "--policy-exec", "exit 3 # me@home+sed"], /ended without an answer, with exit code 3/],
  [["named", "wiki-91"], /no scenario is named "wiki-91"/],
  [["family", "v3"], /family "v3": expected v1 or v2/],
  [["family", "v2", "--best", "SED,LSQ"], /--best LSQ: is not among the strategies/],
];
for (const [args, reason] of refused) {
  test(`refused: ${args.map((a) => a.replace(dir, "")).join(" ")}`, (t) => {
    const r = sim(...args, "--json");
    t.is(r.status, 1);
    t.regex(r.stderr, reason);
    t.is(r.stdout, "");
  });
}

test("help is given wherever it is asked for", (t) => {
  for (const args of [["--help"], ["run", "--help"], ["family", "v1", "--help"]]) {
    const r = sim(...args);
    t.is(r.status, 0);
    t.regex(r.stdout, /usage: marllb-sim run FILE/);
  }
});

test("the JSON of a run: a name with quotes, and ratios where nothing was measured", (t) => {
  interface Result {
    scenarios: { scenario: string; strategies: { flows: number; mean_ratio: { value: number | null } }[] }[];
  }
  const of = (path: string) => (JSON.parse(sim("run", path, "--json", "--threads", "1").stdout) as Result).scenarios[0];
  t.is(of(busy)?.scenario, scenario.name);
  t.is(of(busy)?.strategies[0]?.mean_ratio.value, 1);
  t.is(of(idle)?.strategies[0]?.flows, 0);
  t.is(of(idle)?.strategies[0]?.mean_ratio.value, null);
});
