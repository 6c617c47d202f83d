// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { createRegistry, Registry } from "../../common/metrics.js";
import { latencyMetrics } from "../latency-metrics.js";

const vip = { name: "web" };
const server = { address: "10.0.0.1:80", ttfb_p50_ms: 10, ttfb_p95_ms: 20, ttfb_p99_ms: 30, ttfb: { decayed_mean_ms: 12 } };
const idle = { address: "10.0.0.2:80", ttfb_p50_ms: -1, ttfb_p95_ms: -1, ttfb_p99_ms: -1, ttfb: { decayed_mean_ms: 0 } };

test("latency is a summary: quantiles where they are known, sum and count for the mean", async (t) => {
  const registry = new Registry();
  latencyMetrics(registry, () => [
    {
      stats: { vip, servers: [server, idle], ttfb_p50_ms: 10, ttfb_p95_ms: 20, ttfb_p99_ms: 30, jain: 0.5 },
      answers: { sumS: 4.5, answers: 300 },
      servers: [
        { address: server.address, member: 0, sumS: 1.5, answers: 100 },
        { address: idle.address, member: 1, sumS: 0, answers: 0 },
      ],
    },
  ]);
  const lines = (await registry.metrics()).split("\n");
  for (const line of [
    "# TYPE marllb_vip_ttfb_seconds summary",
    'marllb_vip_ttfb_seconds{vip="web",quantile="0.95"} 0.02',
    'marllb_vip_ttfb_seconds_sum{vip="web"} 4.5',
    'marllb_vip_ttfb_seconds_count{vip="web"} 300',
    "# TYPE marllb_server_ttfb_seconds summary",
    'marllb_server_ttfb_seconds{vip="web",server="10.0.0.1:80",quantile="0.5"} 0.01',
    'marllb_server_ttfb_seconds_count{vip="web",server="10.0.0.2:80"} 0',
    'marllb_server_ttfb_decayed_mean_seconds{vip="web",server="10.0.0.1:80"} 0.012',
    'marllb_vip_jain{vip="web"} 0.5',
  ]) {
    t.true(lines.includes(line), `${line}\nis not in\n${lines.join("\n")}`);
  }
  t.false(lines.some((l) => /10\.0\.0\.2:80.*quantile/.test(l)));
});

test("every metric's name fits its type, as Prometheus' own check wants it", async (t) => {
  const metrics = await createRegistry("x", "y").getMetricsAsJSON();
  const types = new Map(metrics.map((m) => [m.name, String(m.type)]));
  t.true(types.has("process_cpu_seconds_total"));
  for (const [name, type] of types) t.is(name.endsWith("_total"), type === "counter", name);
});
