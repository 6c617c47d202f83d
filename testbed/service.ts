// SPDX-License-Identifier: Apache-2.0
// Starts services as the processes that they are, on free ports, and ends them. They stop when their stdin ends, so a test that dies
// leaves none.
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NODE_ARGS } from "../services/common/node-args.js";
import { programFile } from "../services/common/root.js";
import { Child, START_MS } from "./process.js";

export type ServiceFolder = "shm-agent" | "inference" | "health" | "failover" | "console";

export interface Started {
  grpc: string;
  /** Of the console, in place of `grpc`. */
  http: string;
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

/** The command line of a service. */
export const serviceCommand = (service: ServiceFolder, args: readonly string[]): string[] => [
  process.execPath,
  ...NODE_ARGS,
  programFile(service),
  ...args,
];

export async function launch(
  service: ServiceFolder,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Started | Failed> {
  const child = new Child(serviceCommand(service, args), {
    env: { ...process.env, ...env },
    errorLines: Number.POSITIVE_INFINITY,
  });
  let line: string;
  try {
    line = await child.line(START_MS);
  } catch (e) {
    if (child.ended) return { code: await child.closed, stderr: child.stderr };
    child.process.kill("SIGKILL");
    throw e;
  }
  const ready = JSON.parse(line) as { grpc: string; http: string; metrics: string };
  return {
    ...ready,
    child: child.process,
    stderr: () => child.stderr,
    exited: child.closed,
    stop() {
      child.process.stdin?.end();
      return child.closed;
    },
  };
}

/** On free ports; throws where it does not become ready. */
export async function start(service: ServiceFolder, config: string, sets: readonly string[] = []): Promise<Started> {
  const ports = ["--port", "0", "--metrics-port", "0"];
  const args = ["--config", config, ...ports, "--stop-with-stdin", ...sets.flatMap((s) => ["--set", s])];
  const started = await launch(service, args);
  if ("code" in started) throw new Error(`${service} ended with code ${started.code}: ${started.stderr}`);
  return started;
}
