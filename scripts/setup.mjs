// SPDX-License-Identifier: Apache-2.0
// All of the set-up: prerequisites, npm packages, generated types, native build, TypeScript. Each step is skipped when fresh.
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { bin, exec, root, which } from "./lib/exec.mjs";
import { setupLock, whenStale } from "./lib/fresh.mjs";
import { makePrograms } from "./programs.mjs";

const say = (line) => process.stderr.write(`setup: ${line}\n`);

class SetupError extends Error {}

/** What must be on the machine before anything else; each with the Debian package that brings it. */
export function missingPrerequisites(find = which, nodeVersion = process.versions.node) {
  const missing = [];
  if (Number(nodeVersion.split(".")[0]) < 20) {
    missing.push({ what: `Node.js 20 or newer (this is ${nodeVersion})`, install: "see https://nodejs.org/en/download" });
  }
  const packages = [
    ["a C compiler (cc)", "gcc", find(process.env.CC ?? "cc")],
    ["a C++ compiler (c++)", "g++", find(process.env.CXX ?? "c++")],
    ["CMake", "cmake", find("cmake")],
    ["make or Ninja", "make", find("ninja") ?? find("make")],
    ["npm", "npm", find("npm")],
  ];
  for (const [what, pkg, found] of packages) if (!found) missing.push({ what, install: `sudo apt-get install -y ${pkg}` });
  return missing;
}

async function must(what, command, args, options) {
  say(what);
  const { code, out } = await exec(command, args, options);
  if (code !== 0) throw new SetupError(`${what} failed (exit code ${code}): ${command} ${args.join(" ")}\n${out}`);
}

/** Are the installed packages those of the lock file? npm keeps its own record of what it installed. */
function packagesFresh() {
  const record = path.join(root, "node_modules/.package-lock.json");
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8")).packages;
  const have = JSON.parse(readFileSync(record, "utf8")).packages;
  return Object.entries(wanted).every(([name, p]) => name === "" || p.optional || have[name]?.version === p.version);
}

/** A build folder of another generator, or of a checkout that was moved, cannot be used again. */
function cacheFits(dir, generator) {
  const file = path.join(root, dir, "CMakeCache.txt");
  if (!existsSync(file)) return true;
  const cache = readFileSync(file, "utf8");
  const value = (key) => new RegExp(`^${key}:\\w+=(.*)$`, "m").exec(cache)?.[1];
  return value("CMAKE_GENERATOR") === generator && value("CMAKE_HOME_DIRECTORY") === path.join(root, "native");
}

/** Configures and builds native/ into build/<name>; also used by the tests for the sanitizer builds. */
export async function buildNative(name, { sanitize = "", type = "Release" } = {}) {
  const dir = `build/${name}`;
  const generator = which("ninja") ? "Ninja" : "Unix Makefiles";
  const jobs = Math.max(1, Math.min(os.availableParallelism(), Math.floor(os.totalmem() / 2 ** 30)));
  await whenStale(
    `native-${name}`,
    { inputs: ["native", "package-lock.json"], extra: [sanitize, type, generator], outputs: [`${dir}/CMakeCache.txt`] },
    async () => {
      if (!cacheFits(dir, generator)) rmSync(path.join(root, dir), { recursive: true, force: true });
      // Always: CMake alone would not notice a part of native/ that is new.
      const flags = [`-DCMAKE_BUILD_TYPE=${type}`, `-DMARLLB_SANITIZE=${sanitize}`];
      await must(`configuring ${dir}`, "cmake", ["-S", "native", "-B", dir, "-G", generator, ...flags]);
      await must(`building ${dir}`, "cmake", ["--build", dir, "--parallel", String(jobs)]);
    },
  );
}

async function generate() {
  if (!existsSync(path.join(root, "scripts/gen-proto.mjs"))) return;
  const inputs = ["proto", "scripts/gen-proto.mjs", "package-lock.json"];
  await whenStale("proto", { inputs, outputs: ["gen"] }, () =>
    must("generating types from proto/", process.execPath, ["scripts/gen-proto.mjs"]),
  );
}

/** A deleted source must not live on in dist, least of all a test. */
function prune(dir) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name);
    if (file.startsWith(path.join(root, "dist/programs"))) continue;
    const source = path.join(root, path.relative(path.join(root, "dist"), file)).replace(/\.js(\.map)?$/, ".ts");
    if (entry.isDirectory()) prune(file);
    else if (/\.js(\.map)?$/.test(file) && !existsSync(source)) rmSync(file);
  }
}

const PAGE = "services/console/page";

/** What a browser takes as it stands lies beside what was compiled for it. */
function copyPage() {
  for (const name of readdirSync(path.join(root, PAGE)))
    if (/\.(html|css|svg)$/.test(name)) copyFileSync(path.join(root, PAGE, name), path.join(root, "dist", PAGE, name));
}

async function compile() {
  if (!existsSync(path.join(root, "services"))) return;
  const inputs = [
    "services",
    "testbed",
    "loadtest",
    "gen",
    "scripts/programs.mjs",
    "scripts/load.cjs",
    "tsconfig.json",
    "package-lock.json",
  ];
  await whenStale("typescript", { inputs, outputs: ["dist", "dist/programs"] }, async () => {
    await must("compiling TypeScript", bin("tsc"), ["-p", "tsconfig.json"]);
    await must("compiling the console's page", bin("tsc"), ["-p", PAGE]);
    copyPage();
    prune(path.join(root, "dist"));
    say("making the programs");
    await makePrograms();
  });
}

/** Brings the checkout to a runnable state. Throws SetupError with one readable message. */
export async function setup() {
  const missing = missingPrerequisites();
  if (missing.length > 0) {
    throw new SetupError(missing.map((m) => `missing: ${m.what}. Install it with: ${m.install}`).join("\n"));
  }
  const release = await setupLock((pid) => say(`process ${pid} is setting up; waiting for it`));
  try {
    if (!packagesFresh()) await must("installing npm packages (npm ci)", "npm", ["ci", "--no-progress"]);
    await generate();
    await buildNative("native");
    await compile();
  } finally {
    release();
  }
}

/** setup() for entry points: prints the reason and ends the process when it fails. */
export async function setupOrExit() {
  try {
    await setup();
  } catch (e) {
    const notOurs = e.code === "EACCES" || e.code === "EROFS";
    if (!(e instanceof SetupError) && !notOurs) throw e;
    process.stderr.write(`${e.message}\n`);
    if (notOurs) {
      const own = "set-up writes into the checkout, which is another user's or read-only";
      process.stderr.write(`${own}; where it is built already: node dist/programs/marllbctl.js up\n`);
    }
    process.exit(1);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await setupOrExit();
