// SPDX-License-Identifier: Apache-2.0
// A trained model as a policy (models/FORMAT.md). The only file that knows onnxruntime.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { onnxMetadata } from "./onnx-metadata.js";
import type { Observation, Output, Policy } from "./policy.js";

export interface ObservationShape {
  schema: number;
  serverFeatures: number;
  poolFeatures: number;
}

export interface Model extends Policy {
  observationSchema: number;
  nativeStepMs: number;
  file: string;
}

/** Step sizes that the observation makes; a model of another step would see time run at another speed. */
const NATIVE_STEP_MS = 200;
const MAX_STATE = 4096;

function wholeNumber(meta: Map<string, string>, key: string): number {
  const text = meta.get(key);
  if (text === undefined) throw new Error(`its metadata has no ${key}`);
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0) throw new Error(`its metadata's ${key} is "${text}", expected a whole number`);
  return n;
}

/** Rejects with the reason why the model cannot be used here. */
export async function loadModel(file: string, want: ObservationShape): Promise<Model> {
  const bytes = await readFile(file);
  const meta = onnxMetadata(bytes);
  const schema = wholeNumber(meta, "observation_schema");
  if (schema !== want.schema) throw new Error(`it was trained with observation schema ${schema}, this is ${want.schema}`);
  const stepMs = wholeNumber(meta, "native_step_ms");
  if (stepMs !== NATIVE_STEP_MS) throw new Error(`its native step is ${stepMs} ms, expected ${NATIVE_STEP_MS}`);
  const stateSize = wholeNumber(meta, "state_size");
  if (stateSize > MAX_STATE) throw new Error(`its state has ${stateSize} floats a server, expected at most ${MAX_STATE}`);
  const base = meta.get("base");
  if (base !== "kalman" && base !== "configured") throw new Error(`its base is "${base ?? ""}", expected kalman or configured`);

  // One thread: with the defaults a run waits for others (20 ms at the 99th percentile), and the work is too small to share.
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
  });
  checkShapes(session, want, stateSize);
  const name = basename(file, ".onnx");
  const model: Model = {
    name,
    kind: "onnx",
    note: `trained model on the ${base} weights, ${stateSize} floats of state a server`,
    stateSize,
    observationSchema: schema,
    nativeStepMs: stepMs,
    file,
    decide: (batch, states) => run(session, base, stateSize, batch, states),
  };
  // A file may load and still not run: one step on made-up input shows it here, where the reason can be said.
  const probe = blank(2, want);
  for (const o of await model.decide(
    [probe, blank(3, want)],
    [new Float32Array(2 * stateSize), new Float32Array(3 * stateSize)],
  )) {
    if (!o.weights.every((w) => Number.isFinite(w) && w >= 0)) throw new Error("its weights for an idle pool are not finite");
  }
  return model;
}

function blank(n: number, want: ObservationShape): Observation {
  return {
    n,
    server: new Float32Array(n * want.serverFeatures),
    pool: new Float32Array(want.poolFeatures),
    kalman: new Float32Array(n).fill(1),
    weightStatic: new Float32Array(n).fill(1),
  };
}

function checkShapes(session: InferenceSession, want: ObservationShape, stateSize: number): void {
  const inputs: [name: string, rank: number, last: number | null][] = [
    ["server", 3, want.serverFeatures],
    ["pool", 2, want.poolFeatures],
    ["mask", 2, null],
    ["state", 3, stateSize],
  ];
  for (const [name, rank, last] of inputs) {
    const m = session.inputMetadata.find((x) => x.name === name);
    if (!m) throw new Error(`it has no input ${name}`);
    if (!m.isTensor || m.type !== "float32") throw new Error(`its input ${name} is not float32`);
    const have = m.shape.at(-1);
    if (m.shape.length !== rank || (last !== null && have !== last)) {
      throw new Error(
        `its input ${name} has shape [${m.shape.join(", ")}], expected rank ${rank}${last === null ? "" : ` and ${last} at its end`}`,
      );
    }
  }
  for (const name of ["log_weight", "bias", "state_out"]) {
    if (!session.outputNames.includes(name)) throw new Error(`it has no output ${name}`);
  }
}

async function run(
  session: InferenceSession,
  base: "kalman" | "configured",
  stateSize: number,
  batch: readonly Observation[],
  states: readonly Float32Array[],
): Promise<Output[]> {
  const count = batch.length;
  const first = batch[0];
  if (first === undefined) return [];
  const n = Math.max(...batch.map((o) => o.n));
  const features = first.n > 0 ? first.server.length / first.n : 0;
  const pools = first.pool.length;
  const server = new Float32Array(count * n * features);
  const pool = new Float32Array(count * pools);
  const mask = new Float32Array(count * n);
  const state = new Float32Array(count * n * stateSize);
  batch.forEach((o, b) => {
    server.set(o.server, b * n * features);
    pool.set(o.pool, b * pools);
    mask.fill(1, b * n, b * n + o.n);
    state.set(states[b] as Float32Array, b * n * stateSize);
  });
  const result = await session.run({
    server: new Tensor("float32", server, [count, n, features]),
    pool: new Tensor("float32", pool, [count, pools]),
    mask: new Tensor("float32", mask, [count, n]),
    state: new Tensor("float32", state, [count, n, stateSize]),
  });
  const data = (name: string, length: number): Float32Array => {
    const d = result[name]?.data as Float32Array;
    if (d.length !== length) throw new Error(`output ${name} has ${d.length} values, expected ${length}`);
    return d;
  };
  const logWeight = data("log_weight", count * n);
  const bias = data("bias", count * n);
  const stateOut = data("state_out", count * n * stateSize);
  return batch.map((o, b) => {
    const from = base === "kalman" ? o.kalman : o.weightStatic;
    const weights = new Float32Array(o.n);
    for (let i = 0; i < o.n; i++) weights[i] = (from[i] as number) * Math.exp(logWeight[b * n + i] as number);
    return {
      weights,
      bias: bias.slice(b * n, b * n + o.n),
      kappa: 0,
      state: stateOut.slice(b * n * stateSize, (b * n + o.n) * stateSize),
    };
  });
}
