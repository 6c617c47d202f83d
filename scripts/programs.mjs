// SPDX-License-Identifier: Apache-2.0
// Makes dist/programs from the compiled modules: each program is one file, and what several share lies beside. Of a service's start Node
// spent more than half on finding and reading the 400 modules that it is made of.
import { readdirSync, rmSync } from "node:fs";
import path from "node:path";
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

/** Packages that stay packages: they read files of their own at run time, or are there only where a model needs them. */
const PACKAGES = ["@grpc/reflection", "etcd3", "grpc-health-check", "onnxruntime-node"];
/** Tracing's instrumentation takes hold of gRPC while it is imported. */
const TRACED = ["@grpc/grpc-js", "@opentelemetry/*"];

const folder = path.join(root, "dist/programs");

/** Files that it wrote, as names in dist/programs. */
async function bundle(build, entries, { external, small }) {
  const { metafile } = await build({
    entryPoints: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, path.join(root, "dist", file)])),
    outdir: folder,
    external,
    minifyWhitespace: small,
    minifySyntax: small,
    bundle: true,
    splitting: true,
    metafile: true,
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "silent",
    // Packages of CommonJS ask for require.
    banner: { js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);' },
  });
  return Object.keys(metafile.outputs).map((file) => path.basename(file));
}

export async function makePrograms() {
  const { build } = await import("esbuild");
  const written = new Set([
    // Where a stack in a log points to, a line is to be found.
    ...(await bundle(build, SERVICES, { external: [...PACKAGES, ...TRACED], small: false })),
    // A person waits for the answer: a fifth less to parse.
    ...(await bundle(build, TOOLS, { external: PACKAGES, small: true })),
  ]);
  for (const name of readdirSync(folder)) if (!written.has(name)) rmSync(path.join(folder, name));
}
