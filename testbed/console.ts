// SPDX-License-Identifier: Apache-2.0
// The console over load balancers that are made up: any number of servers, and a past as long as wanted at once.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { ExplainResponse__Output as Explain } from "../gen/marllb/v1/ExplainResponse.js";
import type { GetPoolResponse__Output as Pool } from "../gen/marllb/v1/GetPoolResponse.js";
import type { GetStatusResponse__Output as Status } from "../gen/marllb/v1/GetStatusResponse.js";
import type { ListModelsResponse__Output as Models } from "../gen/marllb/v1/ListModelsResponse.js";
import type { StreamStatsResponse__Output as Stats } from "../gen/marllb/v1/StreamStatsResponse.js";
import { parseConfig } from "../services/common/config/load.js";
import { createRegistry } from "../services/common/metrics.js";
import { Console } from "../services/console/console.js";
import { NO_GUARDRAIL } from "../services/console/trust-now.js";
import type { TrustNow } from "../services/console/wire.js";

export const TOKEN = "0123456789abcdef";

export interface MadeUp {
  /** Load balancers and VIPs; each VIP is at each load balancer. */
  lbs?: readonly string[];
  vips?: readonly string[];
  servers: number;
  /** How much past there is. */
  minutes: number;
  /** Of server `i`. */
  address?(i: number): string;
}

export interface MadeUpConsole {
  url: string;
  orders: { method: string; request: unknown }[];
  it: Console;
  /** It listens no more, until the answer is called. */
  away(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

const wave = (at: number, i: number, period: number): number => Math.sin((2 * Math.PI * at) / period + i);

const addressOf = (o: MadeUp, i: number): string => o.address?.(i) ?? `10.0.${i >> 6}.${1 + (i & 63)}:80`;

function stats(o: MadeUp, vip: string, vipId: number, at: number): Stats {
  const n = o.servers;
  const weights = Array.from({ length: n }, (_, i) => (1 + (i % 4)) * (1 + 0.05 * wave(at, i, 60_000)));
  const sum = weights.reduce((a, b) => a + b, 0);
  return {
    vip: {
      vip_id: vipId,
      name: vip,
      address: `127.0.0.1:${8080 + vipId}`,
      mode: "MODE_SED",
      policy: "marl",
      ladder: at % 240_000 < 4000 ? "LADDER_LAST_GOOD" : "LADDER_MODEL",
      state: "VIP_STATE_NORMAL",
      source: "inference",
      effect_ms: 1.4 + 0.3 * wave(at, vipId, 9000),
      last_refusal: "",
    },
    servers: weights.map((w, i) => ({
      address: addressOf(o, i),
      state: i === 3 && at % 120_000 < 15_000 ? "masked" : "up",
      weight_static: 1 + (i % 4),
      share: w / sum,
      factor: i === 3 && at % 120_000 < 15_000 ? 0 : 1,
      flows: Math.round(4 * w + wave(at, i, 7000)),
      new_flows: String(Math.floor((at / 1000) * (1 + (i % 4)))),
      ttfb_p50_ms: 40 + 8 * wave(at, i, 45_000),
      ttfb_p95_ms: 130 + 40 * wave(at, i, 80_000),
      ttfb_p99_ms: 200,
    })),
    jain: 0.97 + 0.02 * wave(at, 1, 30_000),
    new_flows_per_s: sum * (1 + 0.2 * wave(at, 2, 90_000)),
    ttfb_p50_ms: 40 + 6 * wave(at, 3, 60_000),
    ttfb_p95_ms: 140 + 30 * wave(at, 4, 70_000),
    ttfb_p99_ms: 260 + 60 * wave(at, 5, 50_000),
  } as unknown as Stats;
}

const POOL = {
  term: "3",
  pool: { managed: false },
  override: null,
  policy: null,
  load_balancers: [],
  members: [],
} as unknown as Pool;

function explanation(o: MadeUp): Explain {
  return {
    policy: "marl",
    frame_seq: "1",
    feature_names: ["load", "latency", "refusals", "trend"],
    pool_feature_names: ["load"],
    pool_features: [0.4],
    out_of_range: 0.01,
    servers: Array.from({ length: o.servers }, (_, i) => ({
      server_id: i,
      address: addressOf(o, i),
      weight: 1 + (i % 4),
      kalman: 1 + ((i + 1) % 4),
      bias: wave(i, 0, 7),
      features: [wave(i, 0, 3), wave(i, 1, 5), 0, wave(i, 2, 11)],
      reason: "stands out by load +0.70",
    })),
  } as unknown as Explain;
}

const MODELS = {
  models: [
    { name: "kalman", kind: "builtin", usable: true, note: "a Kalman filter of each server's speed" },
    { name: "marl", kind: "onnx", usable: true, note: "the trained policy" },
    { name: "old", kind: "onnx", usable: false, note: "its observation schema is 3, expected 7" },
  ],
} as unknown as Models;

/** Says `at` to the console, as the agents would. */
function hear(it: Console, o: MadeUp, at: number): void {
  for (const lb of o.lbs ?? ["edge1"]) {
    for (const [i, vip] of (o.vips ?? ["web"]).entries()) {
      const put = it.model.stats(lb, stats(o, vip, i + 1, at), at);
      if (put) it.pasts.put(put.brief, put.servers);
      if (put) it.model.trust(put.brief.key, trustOf(o), at);
    }
  }
  it.model.settle(at);
}

/** A shadow and an experiment that is under way. */
const trustOf = (o: MadeUp): TrustNow => ({
  shadow: {
    policy: "sac-gru",
    cut: "",
    costMs: 0.21,
    distance: 0.034,
    shares: Array.from({ length: o.servers }, (_, i) => ({
      address: addressOf(o, i),
      share: (1 + ((i + 1) % 4)) / (2.5 * o.servers),
    })),
  },
  experiment: {
    id: "20260131T120000",
    candidate: "marl",
    baseline: "kalman",
    share: 0.5,
    startedAt: 0,
    deadline: 0,
    verdict: "running",
    why: "",
    intervals: [
      { metric: "duration", pairs: 14, mean: -0.031, low: -0.082, high: 0.022 },
      { metric: "ttfb", pairs: 14, mean: -0.04, low: -0.07, high: -0.008 },
    ],
  },
  guardrail: { ...NO_GUARDRAIL, state: "watching", stay: 41, usual: 43, limit: 86 },
});

export async function madeUpConsole(o: MadeUp): Promise<MadeUpConsole> {
  const dir = mkdtempSync(path.join(tmpdir(), "marllb-made-up-"));
  writeFileSync(path.join(dir, "token"), TOKEN);
  const config = parseConfig(`console: { token_file: ${path.join(dir, "token")} }`);
  const log = { info() {}, warn() {} } as unknown as ConstructorParameters<typeof Console>[0]["log"];
  const registry = createRegistry("console", "made-up");
  const it = new Console({ config, log, registry, unixMs: () => Date.now(), now: () => performance.now() });
  const now = Date.now();
  for (const lb of o.lbs ?? ["edge1"]) it.model.status(lb, { instance: lb, attached: true, peers: [] } as unknown as Status, now);
  for (let at = now - 60_000 * o.minutes; at < now; at += 1000) hear(it, o, at);
  const orders: MadeUpConsole["orders"] = [];
  const others: Parameters<typeof it.open>[1] = {
    explain: async () => explanation(o),
    policies: async () => MODELS,
    order: async (method, request) => void orders.push({ method, request }),
    refresh: async (name) => it.model.pool(name, POOL, Date.now()),
  };
  let server = await it.open({ host: "127.0.0.1", port: 0 }, others);
  const port = Number(server.address.split(":")[1]);
  const timer = setInterval(() => hear(it, o, Date.now()), 1000);
  return {
    url: `http://${server.address}/`,
    orders,
    it,
    async away() {
      await server.stop();
      return async () => {
        server = await it.open({ host: "127.0.0.1", port }, others);
      };
    },
    async stop() {
      clearInterval(timer);
      it.live.stop();
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
