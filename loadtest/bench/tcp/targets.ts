// SPDX-License-Identifier: Apache-2.0
// The load balancers that are compared: ours and the peers, each with one thread on one CPU, in front of the same origin.
import { execFileSync } from "node:child_process";
import dgram from "node:dgram";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { projectRoot } from "../../../services/common/root.js";
import { dpConfig } from "../../../testbed/dp-config.js";
import { Child, cpuNs, family, freePort, nativeBin, pinned, residentBytes, versionOf, which } from "../../../testbed/process.js";
import { sleep } from "../../../testbed/wait.js";
import { lbCpu } from "../load.js";

export interface Target {
  name: string;
  version: string;
  address: string;
  cpuNs(): number;
  residentBytes(): number;
  stop(): Promise<void>;
}

export type TargetKind = "marllb" | "haproxy" | "nginx";

const installs = { haproxy: "apt-get install haproxy", nginx: "apt-get install nginx libnginx-mod-stream" };

/** Why a peer cannot run here, with what brings it; null where it can. */
export function absent(kind: "haproxy" | "nginx"): string | null {
  return which(kind) ? null : `${kind} is not installed (${installs[kind]})`;
}

export interface TargetOptions {
  /** Whose marllb-dp, this checkout's unless said. */
  checkout?: string;
  udp?: boolean;
  /** Further options of its VIP. */
  vip?: string;
}

export async function startTarget(kind: TargetKind, originPort: number, options: TargetOptions = {}): Promise<Target> {
  const folder = mkdtempSync(path.join(os.tmpdir(), `marllb-bench-${kind}-`));
  const port = await freePort();
  const command = kind === "marllb" ? ours(folder, port, originPort, options) : peer(kind, folder, port, originPort, options);
  const child = new Child(pinned(lbCpu, command));
  try {
    await (options.udp ? answersUdp : answers)(port, child);
  } catch (e) {
    await child.stop();
    rmSync(folder, { recursive: true, force: true });
    throw e;
  }
  const pids = () => family(child.pid);
  return {
    name: kind,
    version: versionOf(kind === "marllb" ? [command[0] as string, "--version"] : [command[0] as string, "-v"]),
    address: `127.0.0.1:${port}`,
    cpuNs: () => cpuNs(pids()),
    residentBytes: () => residentBytes(pids()),
    async stop() {
      await child.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A checkout to compare with may be older than a word of the file: `region` was `shm`. */
function inWordsOf(program: string, text: string): string {
  const help = execFileSync(program, ["--help"], { encoding: "utf8" });
  return /^ {2}region /m.test(help) ? text : text.replace(/^region /m, "shm ");
}

function ours(folder: string, port: number, originPort: number, options: TargetOptions): string[] {
  const file = path.join(folder, "dp.conf");
  const program = nativeBin("marllb-dp", options.checkout);
  writeFileSync(
    file,
    inWordsOf(
      program,
      dpConfig({
        region: `${folder}/region`,
        control: `${folder}/control`,
        instance: `bench${port}`,
        threads: 1,
        vip: {
          name: "bench",
          address: `127.0.0.1:${port}`,
          options: `mode sed${options.udp ? " protocol udp" : ""} ${options.vip ?? ""}`,
        },
        servers: [`127.0.0.1:${originPort} weight 1`],
      }),
    ),
  );
  return [program, "--config", file];
}

/** Peers run from loadtest/bench/peers: the options that were fastest here, in files one can read and run by hand. */
function peer(kind: "haproxy" | "nginx", folder: string, port: number, originPort: number, options: TargetOptions): string[] {
  const source = { haproxy: "haproxy.cfg", nginx: options.udp ? "nginx-udp.conf" : "nginx.conf" }[kind];
  const template = readFileSync(path.join(projectRoot, "loadtest/bench/peers", source), "utf8");
  const values: Record<string, string> = { LISTEN_PORT: String(port), ORIGIN_PORT: String(originPort), FOLDER: folder };
  const file = path.join(folder, source);
  mkdirSync(path.join(folder, "tmp"));
  writeFileSync(
    file,
    template.replace(/@([A-Z_]+)@/g, (all, name: string) => values[name] ?? all),
  );
  const program = which(kind) as string;
  return kind === "haproxy"
    ? [program, "-db", "-f", file]
    : [program, "-p", folder, "-c", file, "-e", path.join(folder, "error.log")];
}

/** Until a datagram comes back from the origin. */
async function answersUdp(port: number, child: Child): Promise<void> {
  const s = dgram.createSocket("udp4");
  let heard = false;
  s.on("message", () => {
    heard = true;
  });
  s.on("error", () => {});
  try {
    for (let i = 0; i < 100 && !heard; i++) {
      if (child.process.exitCode !== null)
        throw new Error(`${child.process.spawnargs.join(" ")} ended at its start\n${child.stderr}`);
      s.send("?", port, "127.0.0.1");
      await sleep(50);
    }
  } finally {
    s.close();
  }
  if (!heard) throw new Error(`${child.process.spawnargs.join(" ")} does not answer on UDP ${port}\n${child.stderr}`);
}

async function answers(port: number, child: Child): Promise<void> {
  let ended = false;
  void child.exited.then(() => {
    ended = true;
  });
  for (let i = 0; i < 100; i++) {
    if (ended) throw new Error(`${child.process.spawnargs.join(" ")} ended at its start\n${child.stderr}`);
    const ok = await new Promise<boolean>((resolve) => {
      const s = net.connect(port, "127.0.0.1", () => {
        s.destroy();
        resolve(true);
      });
      s.on("error", () => resolve(false));
    });
    if (ok) return;
    await sleep(50);
  }
  throw new Error(`${child.process.spawnargs.join(" ")} does not listen on ${port}\n${child.stderr}`);
}
