// SPDX-License-Identifier: Apache-2.0
// One VPP process of our own: configuration in a temporary folder, commands by vppctl, stopped by its pid.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { exec } from "../../../scripts/lib/exec.mjs";

const libDir = (prefix) => {
  for (const d of ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib"]) {
    if (existsSync(path.join(prefix, d, "vpp_plugins"))) return path.join(prefix, d, "vpp_plugins");
  }
  throw new Error(`no vpp_plugins folder under ${prefix}`);
};

/** Workers that this machine has room for: VPP wants a core each, and one for its main thread. */
export const workersHere = () => Math.max(0, Math.min(3, os.availableParallelism() - 1));

/** More workers than cores: a library that makes VPP believe in more (morecores.c). */
async function moreCores(dir, workers) {
  const so = path.join(dir, "morecores.so");
  const source = fileURLToPath(new URL("morecores.c", import.meta.url));
  const { code, out } = await exec(process.env.CC ?? "cc", ["-O1", "-shared", "-fPIC", "-o", so, source, "-ldl"]);
  if (code !== 0) throw new Error(`morecores.c: ${out}`);
  return { MLB_CORES: String(workers + 1), LD_PRELOAD: so };
}

/** VPP ends itself where a worker does not come to a barrier for a second, so on a busy machine its threads go first. */
function hurried(pid) {
  try {
    os.setPriority(pid, -10);
  } catch {
    // Not allowed here: the machine has to be idle enough.
  }
}

function configText({ dir, prefix, pluginDir, workers, plugins, mainCore, buffers, statseg, shared, extra }) {
  const all = shared ? workers + 1 : os.availableParallelism();
  const cores = Array.from({ length: workers }, (_, i) => (mainCore + 1 + i) % all).join(",");
  return `
unix { nodaemon cli-listen ${dir}/cli.sock runtime-dir ${dir} cli-no-pager nosyslog }
api-segment { prefix ${path.basename(dir)} }
socksvr { socket-name ${dir}/api.sock }
statseg { socket-name ${dir}/stats.sock size ${statseg} page-size 4k }
cpu { ${shared ? "relative " : ""}main-core ${mainCore} ${workers > 0 ? `corelist-workers ${cores}` : ""} }
memory { main-heap-size 1536M main-heap-page-size 4k }
buffers { buffers-per-numa ${buffers} page-size 4k }
plugins {
  path ${libDir(prefix)}
  add-path ${pluginDir}
  plugin default { disable }
  plugin lb_rl_plugin.so { enable }
${plugins.map((p) => `  plugin ${p} { enable }`).join("\n")}
}
${extra}
`;
}

export class Vpp {
  /** netns: run inside that network namespace. plugins: names besides ours. env: LD and VPP variables. */
  static async start({
    prefix,
    pluginDir,
    workers = workersHere(),
    plugins = [],
    netns,
    mainCore = 0,
    buffers = 16384,
    statseg = "64m",
    nice = 0,
    extra = "",
    log,
  }) {
    const dir = mkdtempSync(path.join(os.tmpdir(), "marllb-vpp-"));
    const v = new Vpp();
    v.dir = dir;
    v.prefix = prefix;
    v.workers = workers;
    const shared = workers >= os.availableParallelism();
    const env = shared ? { ...process.env, ...(await moreCores(dir, workers)) } : process.env;
    const conf = { dir, prefix, pluginDir, workers, plugins, mainCore, buffers, statseg, shared, extra };
    writeFileSync(`${dir}/startup.conf`, configText(conf));
    const vpp = [path.join(prefix, "bin/vpp"), "-c", `${dir}/startup.conf`];
    const front = [...(nice ? ["nice", "-n", String(nice)] : []), ...(netns ? ["ip", "netns", "exec", netns] : [])];
    const argv = [...front, ...vpp];
    v.child = spawn(argv[0], argv.slice(1), { stdio: ["ignore", "pipe", "pipe"], env });
    if (!nice) hurried(v.child.pid);
    v.out = "";
    for (const s of [v.child.stdout, v.child.stderr]) s.on("data", (d) => ((v.out += d), log?.(String(d))));
    v.exited = new Promise((r) => v.child.once("exit", (code, signal) => r((v.ended = signal ?? code))));
    process.once("exit", (v.kill = () => v.child.kill("SIGKILL")));
    // As long as a machine with much else to do may take.
    for (const end = Date.now() + 60_000; Date.now() < end; ) {
      if (v.ended !== undefined) throw new Error(`vpp ended at its start (${v.ended}):\n${v.out}`);
      if (existsSync(`${dir}/cli.sock`) && (await v.try("show version")).code === 0) return v;
      await sleep(100);
    }
    throw new Error(`vpp does not answer on its CLI:\n${v.out}`);
  }

  try(command) {
    return exec(path.join(this.prefix, "bin/vppctl"), ["-s", `${this.dir}/cli.sock`, command], { timeoutMs: 60_000 });
  }

  /** Output of a command; throws where VPP is gone. */
  async cli(command) {
    const { code, out } = await this.try(command);
    if (code !== 0 || this.ended !== undefined)
      throw new Error(`vpp ${this.ended ?? "gone"} at: ${command}\n${out}\n${this.out.slice(-3000)}`);
    return out.replace(/\r/g, "").trim();
  }

  /** Several commands, one process: a file for `exec`. Throws where any prints something that is not expected. */
  async config(commands) {
    const file = path.join(this.dir, "exec.txt");
    writeFileSync(file, `${commands.join("\n")}\n`);
    const out = await this.cli(`exec ${file}`);
    if (/not understood|unknown|expected|failed|error/i.test(out))
      throw new Error(`vpp refused:\n${commands.join("\n")}\n${out}`);
    return out;
  }

  get alive() {
    return this.ended === undefined;
  }

  async stop() {
    if (this.ended === undefined) {
      this.child.kill("SIGTERM");
      const dead = await Promise.race([this.exited.then(() => true), sleep(5000, false, { ref: false })]);
      if (!dead) this.child.kill("SIGKILL");
      await this.exited;
    }
    process.off("exit", this.kill);
    rmSync(this.dir, { recursive: true, force: true });
    return this.ended;
  }
}
