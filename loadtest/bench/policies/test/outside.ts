// SPDX-License-Identifier: Apache-2.0
// A policy for marllb-sim --policy-exec: the model named on the command line, evaluated as `inference` evaluates it. Weights are computed in
// double, as the simulator does: in float, ties between servers would break otherwise.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { modelMetadata } from "../../../../services/common/native/network.js";
import { type InputShape, observationShape } from "../../../../services/common/native/observe.js";
import { openCore } from "../../../../services/inference/graph.js";

interface Observation {
  stepped: number;
  weight_static: number[];
  kalman: number[];
  stratum: number[];
  shared: number;
  server: number[][];
  pool: number[];
}
interface Line {
  hello?: { load_balancers: number };
  lb: number;
  t: number;
  observation: Observation;
}
type Step = Record<"log_weight" | "bias" | "state_out", Float32Array>;

const file = readFileSync(process.argv[2] as string);
const graph = openCore(file);
const meta = modelMetadata(file);
/** A model of an older schema sees the first features. */
const seen = observationShape.schemas.find((s) => String(s.schema) === meta.get("observation_schema")) as InputShape;
const stateSize = Number(meta.get("state_size"));
const last = new Map<number, Step>();
let kappa = Number(meta.get("kappa"));

async function step(o: Observation, before: Step | undefined): Promise<Step> {
  const n = o.weight_static.length;
  const state = new Float32Array(n * stateSize); // those that joined come last, and start at 0
  if (before) state.set(before.state_out);
  const all = {
    server: {
      data: Float32Array.from(o.server.flatMap((f) => f.slice(0, seen.serverFeatures))),
      shape: [1, n, seen.serverFeatures],
    },
    pool: { data: Float32Array.from(o.pool.slice(0, seen.poolFeatures)), shape: [1, seen.poolFeatures] },
    mask: { data: new Float32Array(n).fill(1), shape: [1, n] },
    state: { data: state, shape: [1, n, stateSize] },
    stratum: { data: Float32Array.from(o.stratum), shape: [1, n] },
    shared: { data: Float32Array.of(o.shared), shape: [1, 1] },
  };
  const asked = Object.fromEntries(Object.entries(all).filter(([name]) => graph.inputs.has(name)));
  return await graph.run(asked, { log_weight: n, bias: n, state_out: n * stateSize });
}

for await (const text of createInterface({ input: process.stdin })) {
  const { hello, lb, t, observation: o } = JSON.parse(text) as Line;
  if (hello) {
    if (!kappa) kappa = 1 / hello.load_balancers;
    continue;
  }
  if (o.stepped) last.set(lb, await step(o, last.get(lb)));
  const by = last.get(lb);
  const base = Array.from(Float32Array.from(meta.get("base") === "kalman" ? o.kalman : o.weight_static));
  const weights = base.map((w, j) => w * Math.exp(by?.log_weight[j] ?? 0));
  process.stdout.write(`${JSON.stringify({ lb, t, weights, bias: base.map((_, j) => by?.bias[j] ?? 0), kappa })}\n`);
}
