// SPDX-License-Identifier: Apache-2.0
// Makes dist/programs from the compiled modules. Of a program's start Node spent more than half on finding and reading hundreds of modules, and most
// of the rest on compiling them: so each program is one file (code/NAME.js), and V8 keeps what it compiled of it (code/NAME-HASH.cache, load.js).
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { root } from "./lib/exec.mjs";

const SERVICES = {
  "shm-agent": "services/shm-agent/main.js",
  inference: "services/inference/main.js",
  health: "services/health/main.js",
  failover: "services/failover/main.js",
  console: "services/console/main.js",
};
const TOOLS = {
  marllbctl: "services/ctl/main.js",
  replay: "services/inference/replay-main.js",
  "vpp-process": "services/ctl/dataplanes/vpp-process.js",
  "vpp-relay": "services/ctl/dataplanes/vpp-relay.js",
  "vpp-listen": "services/ctl/dataplanes/vpp-listen.js",
  "demo-servers": "loadtest/demo/servers.js",
  "demo-load": "loadtest/demo/load.js",
};

/** Packages that stay packages: few processes ever ask for them, and some read files of their own. */
const PACKAGES = ["@grpc/proto-loader", "@grpc/reflection", "@opentelemetry/exporter-*", "etcd3", "onnxruntime-node"];

const programs = path.join(root, "dist/programs");
/** Made beside and renamed: what runs may start a program of its own meanwhile. */
const folder = `${programs}.new`;
const code = path.join(folder, "code");

/** commander starts programs for commands that are programs of their own, which none of ours is: the module for it takes Node 10 ms to load. */
const commander = {
  name: "commander",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/commander\/lib\/command\.js$/ }, ({ path: file }) => {
      const text = readFileSync(file, "utf8");
      const contents = text.replace(
        /const childProcess = require\('node:child_process'\)(\.\w+)?;/,
        "const childProcess = { spawn: (...args) => require('node:child_process').spawn(...args) };",
      );
      if (contents === text) throw new Error(`${file}: node:child_process is imported otherwise than scripts/programs.mjs knows`);
      return { contents };
    }),
};

async function bundle(build, entries, small) {
  await build({
    entryPoints: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, path.join(root, "dist", file)])),
    outdir: code,
    external: PACKAGES,
    plugins: [commander],
    minifyWhitespace: small,
    minifySyntax: small,
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node20",
    // load.js compiles them as scripts, which have no import().
    supported: { "dynamic-import": false },
    logLevel: "silent",
    define: { "import.meta.url": "__url" },
    // As Node itself wraps a module of CommonJS: load.js would have to copy all of it.
    banner: {
      js: '(function (exports, require, module, __filename, __dirname) { const __url = require("node:url").pathToFileURL(__filename).href;',
    },
    footer: { js: "})" },
  });
}

/** What is started: the code of this very build with what was compiled of it. */
function starter(name) {
  const hash = createHash("sha256")
    .update(readFileSync(path.join(code, `${name}.js`)))
    .digest("hex")
    .slice(0, 12);
  const first = name === "marllbctl" ? "#!/usr/bin/env node\n" : "";
  const text = `${first}// Written by scripts/programs.mjs.\nrequire("./load.js")(__dirname, "${name}", "${hash}");\n`;
  writeFileSync(path.join(folder, `${name}.js`), text, { mode: first ? 0o755 : 0o644 });
}

export async function makePrograms() {
  const { build } = await import("esbuild");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(code, { recursive: true });
  // Where a stack in a log points to, a line is to be found. For an answer a person waits: a fifth less to read.
  await bundle(build, SERVICES, false);
  await bundle(build, TOOLS, true);
  for (const name of Object.keys({ ...SERVICES, ...TOOLS })) starter(name);
  copyFileSync(path.join(root, "scripts/load.cjs"), path.join(folder, "load.js"));
  // Of the package that is above, modules are ECMAScript's.
  writeFileSync(path.join(folder, "package.json"), '{ "type": "commonjs" }\n');
  await rehearse();
  const former = `${programs}.former`;
  rmSync(former, { recursive: true, force: true });
  if (existsSync(programs)) renameSync(programs, former);
  renameSync(folder, programs);
  rmSync(former, { recursive: true, force: true });
}

/** Starts each program once, so that what V8 compiles then is there when a person does. Where one cannot run here, its first start is slower. */
async function rehearse() {
  const scratch = mkdtempSync(path.join(os.tmpdir(), "marllb-rehearsal-"));
  try {
    const config = path.join(scratch, "marllb.yaml");
    writeFileSync(config, rehearsal(scratch));
    const { NODE_ARGS } = await import(path.join(root, "dist/services/common/node-args.js"));
    const service = (name) => [...NODE_ARGS, path.join(folder, `${name}.js`), "--config", config, "--stop-with-stdin"];
    const asked = started([...service("shm-agent"), "--port", "0", "--metrics-port", "0"]);
    const others = Object.keys(SERVICES)
      .filter((name) => name !== "shm-agent")
      .map((name) => started([...service(name), "--port", "0", "--metrics-port", "0"]));
    const at = (await asked.ready)?.grpc;
    // As a person asks: of an instance that runs here.
    const instance = path.join(scratch, `marllb-${os.userInfo().uid}/marllb`);
    mkdirSync(instance, { recursive: true });
    const target = { agents: [at ?? "127.0.0.1:1"], inference: [], health: [], failover: [] };
    writeFileSync(path.join(instance, "target.json"), JSON.stringify(target));
    await started([path.join(folder, "marllbctl.js"), "status"], { TMPDIR: scratch, MARLLB_CONTEXTS: path.join(scratch, "none") })
      .over;
    for (const it of [asked, ...others]) {
      await it.ready;
      it.stop();
      await it.over;
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const rehearsal = (scratch) => `instance: rehearsal
region: { path: ${path.join(scratch, "region")} }
failover: { store: { kind: memory } }
inference: { decisions: { folder: ${path.join(scratch, "decisions")} }, experiments: ${path.join(scratch, "experiments")} }
log: { level: silent }
`;

/** On a machine with much else to do. */
const LONGEST_MS = 120_000;

/** A program of ours: `ready` with its first line that says so, or null where it ends before. */
function started(args, more = {}) {
  const env = { ...process.env, NODE_OPTIONS: "", ...more };
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "ignore"], env });
  child.stdin.on("error", () => {});
  const timer = setTimeout(() => child.kill("SIGKILL"), LONGEST_MS);
  const over = new Promise((resolve) => child.once("close", resolve).once("error", resolve)).then(() => clearTimeout(timer));
  const ready = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => line.startsWith("{") && resolve(JSON.parse(line)));
    void over.then(() => resolve(null));
  });
  return { ready, over, stop: () => child.stdin.end() };
}
