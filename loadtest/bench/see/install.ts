// SPDX-License-Identifier: Apache-2.0
// `npm pack`, then a global install of the tarball into a folder of this row's own, without onnxruntime: its size, and that it runs.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../../services/common/root.js";
import type { BenchOptions } from "../harness.js";
import { exact, row } from "../row.js";

const run = promisify(execFile);

/** Bytes of the files, and what they take of a disk. */
function size(folder: string): { bytes: number; disk: number } {
  const sum = { bytes: 0, disk: 0 };
  for (const e of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!e.isFile()) continue;
    const s = statSync(path.join(e.parentPath, e.name));
    sum.bytes += s.size;
    sum.disk += s.blocks * 512;
  }
  return sum;
}

/** Packs this checkout and installs it under `folder`; returns where the packages and the programs are. */
export async function packAndInstall(folder: string): Promise<{ packages: string; bin: string; tarball: number }> {
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], {
    cwd: projectRoot,
    maxBuffer: 64 << 20,
  });
  const [{ filename, size: tarball }] = JSON.parse(stdout) as [{ filename: string; size: number }];
  const prefix = path.join(folder, "prefix");
  await run("npm", ["install", "--global", "--prefix", prefix, path.join(folder, filename)], { maxBuffer: 64 << 20 });
  return { packages: path.join(prefix, "lib/node_modules"), bin: path.join(prefix, "bin"), tarball };
}

export async function installSize(o: BenchOptions): Promise<void> {
  o.progress("see: npm pack and a global install");
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-pack-"));
  try {
    const { packages, bin, tarball } = await packAndInstall(folder);
    const { stdout } = await run(path.join(bin, "marllbctl"), ["--version"]);
    // A whole load balancer with its demonstration, from the installed files alone.
    const up = ["up", "--instance", `pack-${process.pid}`, "--duration", "5", "--plain", "--rate", "20"];
    await run(path.join(bin, "marllbctl"), up, { cwd: folder });
    const { bytes, disk } = size(packages);
    const mb = bytes / 1e6;
    const note = `tarball ${(tarball / 1e6).toFixed(1)} MB; ${(disk / 1e6).toFixed(0)} MB of disk; marllbctl ${stdout.trim()} up runs from it; without onnxruntime`;
    o.report(row("see.install_mb", "MB", "<= 60", exact(mb, 1), note));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
