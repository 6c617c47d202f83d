// SPDX-License-Identifier: Apache-2.0
// Starts services as the processes that they are, on free ports, and ends them. They stop when their stdin ends, so a test that dies
// leaves none.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { NODE_ARGS } from "../node-args.js";
import { projectRoot } from "../root.js";

export type ServiceFolder = "shm-agent" | "inference" | "health" | "failover";

export interface Started {
  grpc: string;
  metrics: string;
  child: ChildProcess;
  stderr(): string;
  /** Ends it by its stdin; resolves to the exit code. */
  stop(): Promise<number | null>;
  exited: Promise<number | null>;
}

export interface Failed {
  code: number | null;
  stderr: string;
}

/** A folder of the test's own, and what removes it. */
export function scratch(): { dir: string; config(text: string): string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), "marllb-test-"));
  return {
    dir,
    config(text) {
      const file = join(dir, "marllb.yaml");
      writeFileSync(file, text);
      return file;
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

const givenPorts = new Set<number>();

/** A port of 127.0.0.1 that was free a moment ago; never one that this process was given before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    if (givenPorts.has(port)) continue;
    givenPorts.add(port);
    return port;
  }
}

const START_MS = 60_000;

export function launch(service: ServiceFolder, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Started | Failed> {
  const child = spawn(process.execPath, [...NODE_ARGS, join(projectRoot, "dist/services", service, "main.js"), ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (s: string) => {
    stderr += s;
  });
  child.stdin.on("error", () => {});
  const exited = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${service} did not start: ${stderr}`));
    }, START_MS);
    createInterface({ input: child.stdout }).on("line", (line) => {
      const ready = JSON.parse(line) as { ready: boolean; grpc: string; metrics: string };
      clearTimeout(timer);
      resolve({
        grpc: ready.grpc,
        metrics: ready.metrics,
        child,
        stderr: () => stderr,
        exited,
        stop() {
          child.stdin.end();
          return exited;
        },
      });
    });
    exited.then((code) => {
      clearTimeout(timer);
      resolve({ code, stderr });
    });
  });
}

/** keepPort: the gRPC port is the configuration's instead of any free one. */
export async function start(
  service: ServiceFolder,
  config: string,
  sets: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
  keepPort = false,
): Promise<Started> {
  const ports = keepPort ? ["--metrics-port", "0"] : ["--port", "0", "--metrics-port", "0"];
  const args = ["--config", config, ...ports, "--stop-with-stdin", ...sets.flatMap((s) => ["--set", s])];
  const started = await launch(service, args, env);
  if ("code" in started) throw new Error(`${service} ended with code ${started.code}: ${started.stderr}`);
  return started;
}
