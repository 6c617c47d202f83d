// SPDX-License-Identifier: Apache-2.0
// npm test [-- --only GROUP] [-- --match TEXT]: every test of the repository, one runner, one last line with the counts.
import { existsSync, readdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { bin, exec, root } from "./lib/exec.mjs";
import { merge, parseTap, tally } from "./lib/tap.mjs";
import { lint } from "./lint.mjs";
import { buildNative, setupOrExit } from "./setup.mjs";

const total = tally();

function report(t) {
  for (const f of t.failures) console.log([`FAILED ${f.name}`, ...f.detail.filter((l) => l.trim() !== "")].join("\n    "));
  for (const s of t.skips) console.log(`skipped ${s.name}: ${s.why}`);
  merge(total, t);
}

function skip(name, why, count = 1) {
  report({ ...tally(), skipped: count, skips: [{ name: count > 1 ? `${name} (${count} tests)` : name, why }] });
}

async function testLint() {
  for (const r of await lint()) {
    if (r.skipped) skip(`lint: ${r.name}`, r.skipped);
    else if (r.ok) merge(total, { ...tally(), passed: 1 });
    else report({ ...tally(), failed: 1, failures: [{ name: `lint: ${r.name}`, detail: r.output.split("\n") }] });
  }
}

/** Runs the test executables of one build folder, as many at once as there are cores. */
async function runBinaries(dir, { env = {}, match = /./ } = {}) {
  const folder = path.join(root, dir, "tests");
  const files = existsSync(folder) ? readdirSync(folder).filter((f) => match.test(f) && wanted(f)) : [];
  const queue = [...files];
  await Promise.all(
    Array.from({ length: os.availableParallelism() }, async () => {
      for (let f = queue.shift(); f; f = queue.shift()) {
        const { code, out } = await exec(path.join(folder, f), [], { env, timeoutMs: 600_000 });
        report(parseTap(`${dir}/${f}`, out, code));
      }
    }),
  );
}

/** Can this compiler build and run a program under the sanitizer? */
async function hasSanitizer(name) {
  const source = "int main(void) { return 0; }\n";
  const out = path.join(os.tmpdir(), `marllb-san-${process.pid}`);
  const script = `printf '%s' "$1" | "$2" -xc -fsanitize=${name} -o "$3" - && "$3"; code=$?; rm -f "$3"; exit $code`;
  return (await exec("sh", ["-c", script, "sh", source, process.env.CC ?? "cc", out])).code === 0;
}

async function testSanitized(dir, sanitize, options) {
  const how = `the compiler cannot link -fsanitize=${sanitize} (Debian: sudo apt-get install -y gcc libasan8 libtsan2 libubsan1)`;
  if (!(await hasSanitizer(sanitize))) return skip(`C tests under ${sanitize}`, how);
  await buildNative(dir, { sanitize, type: "RelWithDebInfo" });
  await runBinaries(`build/${dir}`, options);
}

async function testAva() {
  const files = only.match ? [`{scripts,dist}/**/test/**/*${only.match}*.test.*js`] : [];
  // Files at once: half as many again as cores, for most tests wait for processes that they started.
  const lanes = String(Math.ceil(os.availableParallelism() * 1.5));
  const { code, out } = await exec(bin("ava"), ["--tap", "--concurrency", lanes, ...files], {
    env: { NODE_ENV: "test" },
    timeoutMs: 1_500_000,
  });
  report(parseTap("ava", out, code));
}

/** Tests of a folder that brings its own runner: prints TAP, or one line `# SKIP count reason`. */
async function testFolder(name, script) {
  if (!existsSync(path.join(root, script))) return;
  const command = script.endsWith(".py")
    ? (process.env.PYTHON ?? "python3")
    : script.endsWith(".mjs")
      ? process.execPath
      : "bash";
  const { code, out } = await exec(command, [script], { timeoutMs: 1_500_000 });
  const absent = /^# SKIP (\d+) (.*)$/m.exec(out);
  if (absent && code === 0) return skip(name, absent[2], Number(absent[1]));
  report(parseTap(name, out, code));
}

const groups = {
  lint: testLint,
  c: () => runBinaries("build/native"),
  asan: () =>
    testSanitized("asan", "address,undefined", { env: { ASAN_OPTIONS: "detect_leaks=1", UBSAN_OPTIONS: "print_stacktrace=1" } }),
  tsan: () => testSanitized("tsan", "thread", { match: /thread/, env: { TSAN_OPTIONS: "halt_on_error=1" } }),
  ava: testAva,
  fuzz: () => testFolder("fuzz", "native/fuzz.mjs"),
  vpp: () => testFolder("vpp", "vpp-plugin/test/run.mjs"),
  training: () => testFolder("training", "training/test/run.py"),
};

function parse(argv) {
  const options = { groups: Object.keys(groups), match: undefined };
  for (let i = 0; i < argv.length; i++) {
    const value = argv[i + 1];
    if (argv[i] === "--only" && value in groups) options.groups = [argv[++i]];
    else if (argv[i] === "--match" && value) options.match = argv[++i];
    else {
      console.error(
        `usage: npm test [-- --only ${Object.keys(groups).join("|")}] [--match TEXT-IN-FILE-NAME]; not understood: ${argv[i]}`,
      );
      process.exit(2);
    }
  }
  return options;
}

const only = parse(process.argv.slice(2));
const wanted = (file) => !only.match || file.includes(only.match);
await setupOrExit();
for (const name of only.groups) {
  const before = { ...total };
  const start = performance.now();
  await groups[name]();
  const counts = ["passed", "failed", "skipped"].map((k) => `${total[k] - before[k]} ${k}`).join(", ");
  console.log(`${name}: ${counts} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 || total.passed + total.skipped === 0 ? 1 : 0);
