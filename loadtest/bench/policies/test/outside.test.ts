// SPDX-License-Identifier: Apache-2.0
// A model decides alike in the simulator and in `inference`: with the latter's evaluator as an outside policy every flow goes the same way.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { projectRoot } from "../../../../services/common/root.js";
import { nativeBin } from "../../../../testbed/process.js";

const dir = mkdtempSync(join(tmpdir(), "marllb-outside-"));
test.after.always(() => rmSync(dir, { recursive: true }));
const file = join(dir, "pool.json");
writeFileSync(
  file,
  JSON.stringify({
    name: "pool",
    load_balancers: 3,
    duration_s: 8,
    warmup_s: 1,
    seeds: 1,
    servers: [
      { cores: 1, speed: 0.7, weight: 1 },
      { count: 3, cores: 2, weight: 1.3 },
      { cores: 4, weight: 1 },
      { cores: 3, weight: 1, join_s: 4.5 },
    ],
    load: 0.85,
    sizes: { kind: "bimodal", mean_ms: 30, heavy_share: 0.4 },
    noisy: { share: 0.2, duration_s: 2 },
  }),
);
const policy = fileURLToPath(new URL("outside.js", import.meta.url));

for (const [model, gossip] of [
  ["marl", []],
  ["marl", ["--gossip", "20"]],
  ["sac-gru", []],
  ["qmix", []],
] as const) {
  test(`${[model, ...gossip].join(" ")} decides in the simulator as in inference`, (t) => {
    const path = join(projectRoot, "models", `${model}.onnx`);
    const script = join(dir, `${model}${gossip.length}.sh`); // a command's length is limited
    writeFileSync(script, `exec '${process.execPath}' '${policy}' '${path}'\n`);
    const args = [
      "run",
      file,
      "--strategy",
      `model:${path}+sed`,
      "--policy-exec",
      `. '${script}'`,
      "--threads",
      "1",
      "--json",
      ...gossip,
    ];
    const r = spawnSync(nativeBin("marllb-sim"), args, { encoding: "utf8" });
    t.is(r.status, 0, r.stderr);
    const [inside, outside] = JSON.parse(r.stdout).scenarios[0].strategies;
    t.true(inside.flows > 1000);
    t.deepEqual({ ...outside, strategy: "" }, { ...inside, strategy: "" });
  });
}
