// SPDX-License-Identifier: Apache-2.0
// Runs the load tool (native/loadtool).
import { Child, nativeBin, pinned } from "../../testbed/process.js";

export interface LoadResult {
  requests: number;
  errors: number;
  timeouts: number;
  late: number;
  seconds: number;
  bytes: number;
  mean_us: number;
  p50_us: number;
  p90_us: number;
  p99_us: number;
  max_us: number;
}

export interface LoadOptions {
  mode: "new" | "keepalive" | "bulk" | "idle" | "udp";
  /** Requests a second; 0 = closed loop. */
  rate?: number;
  conns?: number;
  /** Addresses of the client. */
  sources?: number;
  /** UDP, closed loop: datagrams in flight of a flow. */
  window?: number;
  seconds?: number;
  warmup?: number;
  bytes?: number;
  seed?: number;
}

/** CPUs: the load balancer has the first, origin and client the rest (or the same one). */
export const lbCpu = "0";
export const loadCpus = (cores: number): string => (cores > 1 ? `1-${cores - 1}` : "0");

export function loadCommand(address: string, o: LoadOptions, cores: number): string[] {
  const flags = Object.entries(o).flatMap(([k, v]) => [`--${k}`, String(v)]);
  return pinned(loadCpus(cores), [nativeBin("marllb-load"), "run", "--connect", address, ...flags]);
}

export async function load(address: string, o: LoadOptions, cores: number): Promise<LoadResult> {
  const child = new Child(loadCommand(address, o, cores));
  const text = await child.line(((o.seconds ?? 1) + (o.warmup ?? 0)) * 1000 + 30_000);
  await child.exited;
  const r = JSON.parse(text) as LoadResult;
  if (r.requests === 0) throw new Error(`no request of ${JSON.stringify(o)} to ${address} was answered: ${text}`);
  return r;
}

/** flags: of `marllb-load serve`. */
export async function startOrigin(cores: number, ...flags: string[]): Promise<{ child: Child; port: number }> {
  const child = new Child(
    pinned(loadCpus(cores), [nativeBin("marllb-load"), "serve", "--listen", "127.0.0.1:0", "--stop-with-stdin", ...flags]),
  );
  const { port } = JSON.parse(await child.line()) as { port: number };
  return { child, port };
}
