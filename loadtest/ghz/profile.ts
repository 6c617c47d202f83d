// SPDX-License-Identifier: Apache-2.0
// Runs a ghz profile of this folder against an agent. ghz learns the messages by reflection.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../services/common/root.js";
import { which } from "../../testbed/process.js";

export const installHint = "go install github.com/bojand/ghz/cmd/ghz@latest";

/** ghz on PATH or where `go install` puts it; null where it is absent. */
export function findGhz(): string | null {
  return which("ghz") ?? which(path.join(process.env.GOPATH ?? path.join(process.env.HOME ?? "/", "go"), "bin", "ghz"));
}

export interface Summary {
  count: number;
  rps: number;
  /** Milliseconds. */
  average: number;
  p50: number;
  p99: number;
  /** Calls by gRPC status. */
  statuses: Record<string, number>;
}

export async function runProfile(ghz: string, name: "unary" | "streaming", address: string): Promise<Summary> {
  const file = path.join(projectRoot, "loadtest/ghz", `${name}.json`);
  const { stdout } = await promisify(execFile)(ghz, ["--config", file, "--format", "json", address], { maxBuffer: 64 << 20 });
  const r = JSON.parse(stdout) as {
    count: number;
    rps: number;
    average: number;
    latencyDistribution: { percentage: number; latency: number }[] | null;
    statusCodeDistribution: Record<string, number>;
  };
  const at = (p: number): number => (r.latencyDistribution?.find((l) => l.percentage === p)?.latency ?? Number.NaN) / 1e6;
  const figures = { average: r.average / 1e6, p50: at(50), p99: at(99) };
  return { count: r.count, rps: r.rps, ...figures, statuses: r.statusCodeDistribution };
}
