// SPDX-License-Identifier: Apache-2.0
// node native/fuzz.mjs [RUNS]: fuzzes with clang's libFuzzer, address and undefined-behaviour sanitizers, each target from the files
// that its own seeds program writes. Prints TAP. A finding is left in build/fuzz.
import { copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { exec, root, which } from "../scripts/lib/exec.mjs";

const TARGETS = [
  { target: "net/marllb-fuzz-net", runs: 60_000, longest: 20_000, also: models, what: "hostile graphs and shipped models" },
  { target: "dataplane/marllb-fuzz-proxy", runs: 50_000, longest: 600, what: "PROXY headers" },
];
const clang = ["clang", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14"].find((c) => which(c));
if (!clang || !which("cmake")) {
  console.log(`# SKIP ${TARGETS.length} clang with libFuzzer is not installed (Debian: sudo apt-get install -y clang)`);
  process.exit(0);
}
const build = path.join(root, "build/fuzz");
const names = TARGETS.flatMap(({ target }) => [path.basename(target), `${path.basename(target)}-seeds`]);
console.log(`1..${TARGETS.length}`);
await must(0, "cmake", ["-S", "native", "-B", build, `-DCMAKE_C_COMPILER=${clang}`, "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DMARLLB_FUZZ=ON"]);
await must(0, "cmake", ["--build", build, "--target", ...names, "-j", "2"]);
for (const [i, { target, longest, also, what, ...t }] of TARGETS.entries()) {
  const runs = process.argv[2] ?? t.runs;
  const corpus = path.join(build, `corpus-${path.basename(target)}`);
  rmSync(corpus, { recursive: true, force: true });
  mkdirSync(corpus, { recursive: true });
  await must(i, path.join(build, `${target}-seeds`), [corpus]);
  also?.(corpus);
  // One seed and one worker: the same inputs every time.
  const options = [`-runs=${runs}`, "-seed=1", `-max_len=${longest}`, "-rss_limit_mb=2048", "-timeout=60", `-artifact_prefix=${build}/`];
  await must(i, path.join(build, target), [...options, corpus]);
  console.log(`ok ${i + 1} - ${runs} mutations of ${what}`);
}

function models(corpus) {
  const folder = path.join(root, "models");
  for (const f of readdirSync(folder).filter((f) => f.endsWith(".onnx"))) copyFileSync(path.join(folder, f), path.join(corpus, f));
}

async function must(i, command, args) {
  const { code, out } = await exec(command, args, { timeoutMs: 900_000 });
  if (code === 0) return;
  console.log(out.split("\n").slice(-40).map((l) => `# ${l}`).join("\n"));
  console.log(`not ok ${i + 1} - ${path.basename(command)} ${args.join(" ")}: exit ${code}`);
  process.exit(1);
}
