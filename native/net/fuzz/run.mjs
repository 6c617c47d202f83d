// SPDX-License-Identifier: Apache-2.0
// node native/net/fuzz/run.mjs [RUNS]: fuzzes the model reader with clang's libFuzzer, address and undefined-behaviour sanitizers, from
// the seeds of seeds.c and the shipped models. Prints TAP. A finding is left in build/fuzz.
import { copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { exec, root, which } from "../../../scripts/lib/exec.mjs";

const RUNS = process.argv[2] ?? "60000";
const clang = ["clang", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14"].find((c) => which(c));
if (!clang || !which("cmake")) {
  console.log("# SKIP 1 clang with libFuzzer is not installed (Debian: sudo apt-get install -y clang)");
  process.exit(0);
}
const build = path.join(root, "build/fuzz");
const corpus = path.join(build, "corpus");
const steps = [
  ["cmake", ["-S", "native", "-B", build, `-DCMAKE_C_COMPILER=${clang}`, "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DMARLLB_FUZZ=ON"]],
  ["cmake", ["--build", build, "--target", "marllb-fuzz-net", "marllb-fuzz-net-seeds", "-j", "2"]],
];
rmSync(corpus, { recursive: true, force: true });
mkdirSync(corpus, { recursive: true });
for (const [command, args] of steps) await must(command, args);
await must(path.join(build, "net/marllb-fuzz-net-seeds"), [corpus]);
for (const f of readdirSync(path.join(root, "models")).filter((f) => f.endsWith(".onnx"))) {
  copyFileSync(path.join(root, "models", f), path.join(corpus, f));
}
// One seed and one worker: the same inputs every time.
const options = [`-runs=${RUNS}`, "-seed=1", "-max_len=20000", "-rss_limit_mb=2048", "-timeout=60", `-artifact_prefix=${build}/`];
await must(path.join(build, "net/marllb-fuzz-net"), [...options, corpus]);
console.log(`1..1\nok 1 - ${RUNS} mutations of hostile graphs and shipped models`);

async function must(command, args) {
  const { code, out } = await exec(command, args, { timeoutMs: 900_000 });
  if (code === 0) return;
  console.log(out.split("\n").slice(-40).map((l) => `# ${l}`).join("\n"));
  console.log(`1..1\nnot ok 1 - ${path.basename(command)} ${args.join(" ")}: exit ${code}`);
  process.exit(1);
}
