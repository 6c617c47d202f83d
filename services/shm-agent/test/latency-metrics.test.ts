// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { fakeFrame } from "../../../testbed/fake-frame.js";
import { BUCKETS, edgesUs } from "../../common/histogram.js";
import { Registry } from "../../common/metrics.js";
import { LatencyCounts } from "../latency.js";
import { latencyMetrics } from "../latency-metrics.js";

/** A frame of servers by id and address, each with `counts` of buckets. */
function frame(seq: number, servers: { id: number; address: string; counts: Record<number, number> }[]) {
  const all = new Uint32Array(BUCKETS * servers.length);
  servers.forEach(({ counts }, i) => {
    for (const [bucket, n] of Object.entries(counts)) all[i * BUCKETS + Number(bucket)] = n;
  });
  const list = servers.map(({ id, address }) => ({ id, address }));
  return fakeFrame(list, { seq: BigInt(seq), histogram: () => all });
}

/** What an address counted in a bucket. */
const counted = (c: LatencyCounts, address: string, ids: number[], bucket: number) => {
  const { counts, at } = c.of(address, ids);
  return counts[at + bucket];
};
const total = (a: Float64Array): number => a.reduce((x, y) => x + y, 0);
const A = "10.0.0.1:80";
const B = "10.0.0.2:80";

test("counts grow over a wrap of the frame's 32 bits, and by each frame once", (t) => {
  const c = new LatencyCounts("ttfb_hist");
  c.add(frame(1, [{ id: 1, address: A, counts: { 5: 4_294_967_290 } }]));
  const next = frame(2, [{ id: 1, address: A, counts: { 5: 10 } }]);
  c.add(next);
  c.add(next);
  t.is(c.vip[5], 4_294_967_306);
  t.is(counted(c, A, [1], 5), 4_294_967_306);
});

test("what a server counted stays the VIP's when it leaves, and its own only while another record has its address", (t) => {
  const c = new LatencyCounts("ttfb_hist");
  c.add(
    frame(1, [
      { id: 1, address: A, counts: { 3: 7 } },
      { id: 2, address: B, counts: { 3: 1 } },
    ]),
  );
  c.add(
    frame(2, [
      { id: 2, address: B, counts: { 3: 1 } },
      { id: 3, address: A, counts: { 3: 2 } },
    ]),
  );
  t.is(counted(c, A, [3], 3), 9, "it came back before its old record went");
  c.add(frame(3, [{ id: 2, address: B, counts: { 3: 1 } }]));
  c.add(
    frame(4, [
      { id: 2, address: B, counts: { 3: 1 } },
      { id: 4, address: A, counts: { 3: 5 } },
    ]),
  );
  t.is(counted(c, A, [4], 3), 5, "it was away: its series began anew");
  t.is(total(c.vip), 7 + 1 + 2 + 5);
});

test("latency is a histogram of the frame's own buckets, seconds, in the order of their edges", async (t) => {
  const registry = new Registry();
  const counts = new LatencyCounts("ttfb_hist");
  // 64..96 us, 1024..1536 us, and beyond the last edge.
  const at1024 = edgesUs.indexOf(1024);
  counts.add(frame(1, [{ id: 1, address: A, counts: { 1: 2, [at1024]: 3, [BUCKETS - 1]: 1 } }]));
  const server = { address: A, labels: `vip="web",server="${A}"`, ids: [1] };
  const idle = { address: B, labels: `vip="web",server="${B}"`, ids: [2] };
  const durations = new LatencyCounts("duration_hist");
  durations.add(frame(1, [{ id: 1, address: A, counts: { [at1024]: 2 } }]));
  const ttfb = { counts, sumS: 4.5 };
  const duration = { counts: durations, sumS: 0.0025 };
  const serverSumS = (i: number): number => [4.5, 0][i] ?? Number.NaN;
  const decayedMeanS = (i: number): number => [0.012, 0][i] ?? Number.NaN;
  latencyMetrics(registry, () => [{ name: "web", ttfb, duration, jain: 0.5, servers: [server, idle], serverSumS, decayedMeanS }]);
  const lines = (await registry.text()).split("\n");
  for (const line of [
    "# TYPE marllb_vip_ttfb_seconds histogram",
    'marllb_vip_ttfb_seconds_bucket{vip="web",le="0.000064"} 0',
    'marllb_vip_ttfb_seconds_bucket{vip="web",le="0.000096"} 2',
    'marllb_vip_ttfb_seconds_bucket{vip="web",le="0.001024"} 2',
    'marllb_vip_ttfb_seconds_bucket{vip="web",le="0.001536"} 5',
    'marllb_vip_ttfb_seconds_bucket{vip="web",le="+Inf"} 6',
    'marllb_vip_ttfb_seconds_sum{vip="web"} 4.5',
    'marllb_vip_ttfb_seconds_count{vip="web"} 6',
    'marllb_vip_duration_seconds_bucket{vip="web",le="0.001024"} 0',
    'marllb_vip_duration_seconds_bucket{vip="web",le="0.001536"} 2',
    'marllb_vip_duration_seconds_sum{vip="web"} 0.0025',
    'marllb_vip_duration_seconds_count{vip="web"} 2',
    `marllb_server_ttfb_seconds_bucket{vip="web",server="${A}",le="0.000128"} 2`,
    `marllb_server_ttfb_seconds_bucket{vip="web",server="${A}",le="0.003072"} 5`,
    `marllb_server_ttfb_seconds_bucket{vip="web",server="${A}",le="12.582912"} 5`,
    `marllb_server_ttfb_seconds_bucket{vip="web",server="${A}",le="+Inf"} 6`,
    `marllb_server_ttfb_seconds_count{vip="web",server="${B}"} 0`,
    `marllb_server_ttfb_decayed_mean_seconds{vip="web",server="${A}"} 0.012`,
    'marllb_vip_jain_ratio{vip="web"} 0.5',
  ]) {
    t.true(lines.includes(line), `${line}\nis not in\n${lines.join("\n")}`);
  }
  t.false(lines.some((l) => l.startsWith("marllb_server_ttfb_decayed") && l.includes(B)));
});
