// SPDX-License-Identifier: Apache-2.0
// Generates gen/ (TypeScript types of proto/marllb) with the options that services load the same files with
// (proto/loader-options.json). Skipped when fresh. `node scripts/gen-proto.mjs [--force]`; also importable.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const generator = join(root, "node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js");

function protoFiles() {
  const dir = "marllb/v1";
  return readdirSync(join(root, "proto", dir))
    .filter((f) => f.endsWith(".proto"))
    .sort()
    .map((f) => `${dir}/${f}`);
}

function fingerprint(files) {
  const hash = createHash("sha256");
  for (const f of [...files.map((x) => join("proto", x)), "proto/loader-options.json", "scripts/gen-proto.mjs"]) {
    hash.update(f).update(readFileSync(join(root, f)));
  }
  hash.update(readFileSync(join(root, "node_modules/@grpc/proto-loader/package.json")));
  return hash.digest("hex");
}

/** Returns true when it generated, false when gen/ was fresh. */
export function generateProto({ force = false } = {}) {
  const files = protoFiles();
  const want = fingerprint(files);
  const stamp = join(root, "gen/.stamp");
  try {
    if (!force && readFileSync(stamp, "utf8") === want) return false;
  } catch {
    // no stamp: never generated
  }
  const options = JSON.parse(readFileSync(join(root, "proto/loader-options.json"), "utf8"));
  const flags = Object.entries(options).map(([k, v]) => (v === true ? `--${k}` : `--${k}=${v}`));
  // Generated beside and renamed, so that a compiler that runs meanwhile never sees half of it.
  const tmp = join(root, `gen.${process.pid}.tmp`);
  rmSync(tmp, { recursive: true, force: true });
  mkdirSync(tmp);
  try {
    execFileSync(
      process.execPath,
      [
        generator,
        ...flags,
        "--grpcLib=@grpc/grpc-js",
        "--importFileExtension=.js",
        "-I",
        join(root, "proto"),
        "-O",
        tmp,
        ...files,
      ],
      { cwd: join(root, "proto"), stdio: ["ignore", "ignore", "inherit"] },
    );
    writeFileSync(join(tmp, ".stamp"), want);
    rmSync(join(root, "gen"), { recursive: true, force: true });
    renameSync(tmp, join(root, "gen"));
  } finally {
    rmSync(tmp, { recursive: true, force: true });
  }
  return true;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const made = generateProto({ force: process.argv.includes("--force") });
  console.log(made ? "gen/: generated" : "gen/: fresh");
}
