// SPDX-License-Identifier: Apache-2.0
// What the rows work out of marllb-sim's figures.
import test from "ava";
import { random } from "../../../demo/random.js";
import { loadAt, valueAt } from "../capacity.js";
import { gamma, llmTrace, meanSizeMs } from "../llm-trace.js";
import type { NamedStrategy } from "../sim.js";
import { shareOverFair } from "../situations.js";

const curve = [
  { load: 0.5, p99: 100 },
  { load: 0.7, p99: 140 },
  { load: 0.9, p99: 300 },
];

test("the load at a level, between points, below the first and beyond the last", (t) => {
  t.true(Math.abs(valueAt(curve, 0.7) - 140) < 1e-9);
  t.true(Math.abs(valueAt(curve, 0.6) - Math.sqrt(100 * 140)) < 1e-9);
  t.true(Math.abs(loadAt(curve, Math.sqrt(140 * 300)) - 0.8) < 1e-12);
  t.is(loadAt(curve, 50), 0.5);
  t.is(loadAt(curve, 1000), 0.9);
});

test("a load that was measured is at its own level, wherever the points before it lie", (t) => {
  for (const p99 of [123.456, 0.1, 1e4 / 3]) {
    const flat = [
      { load: 0.5, p99: p99 * 1.01 },
      { load: 0.7, p99 },
      { load: 0.9, p99: 2 * p99 },
    ]; // a noisy start
    t.is(loadAt(flat, valueAt(flat, 0.7)), 0.7);
  }
});

test("a curve that is not quite monotone counts by its last crossing", (t) => {
  const noisy = [{ load: 0.5, p99: 141 }, ...curve.slice(1)];
  t.true(Math.abs(loadAt(noisy, 140) - 0.7) < 1e-12);
});

test("a failing server's share: all of the flows while it fails are 1 / its share of the weights", (t) => {
  const sc = {
    duration_s: 75,
    warmup_s: 15,
    servers: [{ count: 2, cores: 1 }, { cores: 2 }],
    faults: [{ server: 0, for_s: 20 }],
  };
  const all = { flows: 2000, failed: 1000 } as NamedStrategy;
  t.is(shareOverFair(sc, all), 4);
});

test("gamma intervals have the mean and the variation that is asked for", (t) => {
  const u = random(7);
  const v = Array.from({ length: 100_000 }, () => gamma(u, 0.25, 3));
  const mean = v.reduce((a, b) => a + b, 0) / v.length;
  const cv = Math.sqrt(v.reduce((a, b) => a + (b - mean) ** 2, 0) / v.length) / mean;
  t.true(Math.abs(mean - 3) < 0.1);
  t.true(Math.abs(cv - 2) < 0.1);
});

test("a trace of requests is in order, and as long and as heavy as its rate and sizes say", (t) => {
  const lines = llmTrace(3, 10, 1000).trimEnd().split("\n").slice(1);
  const rows = lines.map((l) => l.split(" ").map(Number) as [number, number]);
  t.true(rows.every(([at], i) => i === 0 || at >= (rows[i - 1] as [number, number])[0]));
  t.true(Math.abs(rows.length / 10_000 - 1) < 0.1);
  const mean = rows.reduce((a, [, ms]) => a + ms, 0) / rows.length;
  t.true(Math.abs(mean / meanSizeMs() - 1) < 0.15);
  t.true(Math.max(...rows.map(([, ms]) => ms)) > 60_000);
});
