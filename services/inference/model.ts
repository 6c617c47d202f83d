// SPDX-License-Identifier: Apache-2.0
// A trained model as a policy (models/FORMAT.md).
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { modelMetadata, NativeError } from "../common/native/network.js";
import type { InputShape } from "../common/native/observe.js";
import { type Graph, openGraph, openOnnxruntime, type Tensor } from "./graph.js";
import { hashOf } from "./hash.js";
import type { Observation, Output, Policy } from "./policy.js";

export interface Model extends Policy {
  observationSchema: number;
  nativeStepMs: number;
  file: string;
  /** Of the file's content. */
  hash: string;
}

/** Step sizes that the observation makes; a model of another step would see time run at another speed. */
const NATIVE_STEP_MS = 200;
const MAX_STATE = 4096;
const MAX_KAPPA = 100;

function wholeNumber(meta: Map<string, string>, key: string): number {
  const text = meta.get(key);
  if (text === undefined) throw new Error(`its metadata has no ${key}`);
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0) throw new Error(`its metadata's ${key} is "${text}", expected a whole number`);
  return n;
}

/** Flows; 0 = 1 / load balancers. */
function kappaOf(meta: Map<string, string>): number {
  const text = meta.get("kappa") ?? "1/M";
  if (text === "1/M") return 0;
  const kappa = /^[\d.]/.test(text) && text === text.trim() ? Number(text) : Number.NaN;
  if (!(kappa > 0 && kappa <= MAX_KAPPA)) throw new Error(`its kappa is "${text}", expected 1/M or flows, at most ${MAX_KAPPA}`);
  return kappa;
}

/** Rejects with the reason why the model cannot be used here. `known`: the schemas that it may have been trained with, the observation's
 * own first. */
export async function loadModel(file: string, known: readonly InputShape[], open = openGraph): Promise<Model> {
  const bytes = await readFile(file);
  const meta = modelMetadata(bytes);
  const schema = wholeNumber(meta, "observation_schema");
  const want = known.find((k) => k.schema === schema);
  const seen = known[0];
  if (!want || !seen) {
    throw new Error(`it was trained with observation schema ${schema}, this is ${known.map((k) => k.schema).join(" or ")}`);
  }
  const stepMs = wholeNumber(meta, "native_step_ms");
  if (stepMs !== NATIVE_STEP_MS) throw new Error(`its native step is ${stepMs} ms, expected ${NATIVE_STEP_MS}`);
  const stateSize = wholeNumber(meta, "state_size");
  if (stateSize > MAX_STATE) throw new Error(`its state has ${stateSize} floats a server, expected at most ${MAX_STATE}`);
  const base = meta.get("base");
  if (base !== "kalman" && base !== "configured") throw new Error(`its base is "${base ?? ""}", expected kalman or configured`);
  const kappa = kappaOf(meta);

  const name = basename(file, ".onnx");
  const onGraph = async (graph: Graph): Promise<Model> => {
    checkShapes(graph, want, stateSize);
    const model: Model = {
      name,
      kind: "onnx",
      note: `trained model on the ${base} weights, ${stateSize} floats of state a server`,
      stateSize,
      stepped: true,
      base,
      observationSchema: schema,
      nativeStepMs: stepMs,
      file,
      hash: hashOf(bytes),
      decide: (batch, states) =>
        run(
          graph,
          { base, kappa },
          { ...want, stateSize },
          batch.map((o) => narrow(o, seen, want)),
          states,
        ),
    };
    await tryOut(model, seen);
    return model;
  };
  const graph = await open(bytes);
  try {
    return await onGraph(graph);
  } catch (e) {
    // The core knows an op by its name, and finds only when it runs that this use of it is beyond it (a Slice of two axes, say).
    if (graph.engine !== "core" || !(e instanceof NativeError) || e.code !== "ENOTSUP") throw e;
    return await onGraph(await openOnnxruntime(bytes));
  }
}

/** A file may load and still not run: one step on made-up input shows it here, where the reason can be said. */
async function tryOut(model: Model, want: InputShape): Promise<void> {
  const pools = [blank(2, want), blank(3, want)];
  for (const o of await model.decide(
    pools,
    pools.map((p) => new Float32Array(p.n * model.stateSize)),
  )) {
    if (!o.weights.every((w) => Number.isFinite(w) && w >= 0)) throw new Error("its weights for an idle pool are not finite");
  }
}

function blank(n: number, want: InputShape): Observation {
  return {
    n,
    server: new Float32Array(n * want.serverFeatures),
    pool: new Float32Array(want.poolFeatures),
    kalman: new Float32Array(n).fill(1),
    weightStatic: new Float32Array(n).fill(1),
    stratum: new Float32Array(n).fill(0.5),
    shared: false,
    latency: new Float32Array(n).fill(Number.NaN),
    dt: 0,
  };
}

/** What a model of an older schema sees of an observation: the first features. */
function narrow(o: Observation, seen: InputShape, want: InputShape): Observation {
  if (seen.serverFeatures === want.serverFeatures && seen.poolFeatures === want.poolFeatures) return o;
  const server = new Float32Array(o.n * want.serverFeatures);
  for (let i = 0; i < o.n; i++) {
    const from = i * seen.serverFeatures;
    server.set(o.server.subarray(from, from + want.serverFeatures), i * want.serverFeatures);
  }
  return { ...o, server, pool: o.pool.subarray(0, want.poolFeatures) };
}

function checkShapes(graph: Graph, want: InputShape, stateSize: number): void {
  const inputs: [name: string, rank: number, last: number | null, needed: boolean][] = [
    ["server", 3, want.serverFeatures, true],
    ["pool", 2, want.poolFeatures, true],
    ["mask", 2, null, true],
    ["state", 3, stateSize, true],
    ["stratum", 2, null, false],
    ["shared", 2, 1, false],
  ];
  const fixed = (d: unknown): boolean => typeof d === "number" && d >= 0;
  for (const [name, rank, last, needed] of inputs) {
    const shape = graph.inputs.get(name);
    if (!shape && !needed) continue;
    if (!shape) throw new Error(`it has no input ${name}`);
    if (shape.length !== rank || (last !== null && shape.at(-1) !== last)) {
      throw new Error(
        `its input ${name} has shape [${shape.join(", ")}], expected rank ${rank}${last === null ? "" : ` and ${last} at its end`}`,
      );
    }
    const counts = last === null ? shape : shape.slice(0, -1);
    if (counts.some(fixed)) {
      throw new Error(`its input ${name} has shape [${shape.join(", ")}], expected any number of load balancers and servers`);
    }
  }
  const extra = [...graph.inputs.keys()].find((name) => !inputs.some(([known]) => known === name));
  if (extra !== undefined) throw new Error(`it has an input ${extra} that nobody feeds`);
  for (const name of ["log_weight", "bias", "state_out"]) {
    if (!graph.outputs.includes(name)) throw new Error(`it has no output ${name}`);
  }
}

type Sizes = Pick<InputShape, "serverFeatures" | "poolFeatures"> & { stateSize: number };

interface Inputs {
  server: Float32Array;
  pool: Float32Array;
  mask: Float32Array;
  state: Float32Array;
  stratum: Float32Array;
  shared: Float32Array;
}

/** One load balancer's own arrays, or several in one, padded to the longest. */
function gather(batch: readonly Observation[], states: readonly Float32Array[], n: number, sizes: Sizes): Inputs {
  const [first, state] = [batch[0] as Observation, states[0] as Float32Array];
  const shared = Float32Array.from(batch, (o) => Number(o.shared));
  if (batch.length === 1) {
    return { server: first.server, pool: first.pool, mask: new Float32Array(n).fill(1), state, stratum: first.stratum, shared };
  }
  const { serverFeatures: features, poolFeatures: pools, stateSize } = sizes;
  const all: Inputs = {
    server: new Float32Array(batch.length * n * features),
    pool: new Float32Array(batch.length * pools),
    mask: new Float32Array(batch.length * n),
    state: new Float32Array(batch.length * n * stateSize),
    stratum: new Float32Array(batch.length * n),
    shared,
  };
  batch.forEach((o, b) => {
    all.server.set(o.server, b * n * features);
    all.pool.set(o.pool, b * pools);
    all.stratum.set(o.stratum, b * n);
    all.mask.fill(1, b * n, b * n + o.n);
    all.state.set(states[b] as Float32Array, b * n * stateSize);
  });
  return all;
}

function run(
  graph: Graph,
  { base, kappa }: { base: "kalman" | "configured"; kappa: number },
  sizes: Sizes,
  batch: readonly Observation[],
  states: readonly Float32Array[],
): Output[] | Promise<Output[]> {
  const count = batch.length;
  if (count === 0) return [];
  const { stateSize } = sizes;
  const n = batch.reduce((most, o) => Math.max(most, o.n), 0);
  const { server, pool, mask, state, stratum, shared } = gather(batch, states, n, sizes);
  const feeds: Record<string, Tensor> = {
    server: { data: server, shape: [count, n, sizes.serverFeatures] },
    pool: { data: pool, shape: [count, sizes.poolFeatures] },
    mask: { data: mask, shape: [count, n] },
    state: { data: state, shape: [count, n, stateSize] },
  };
  if (graph.inputs.has("stratum")) feeds.stratum = { data: stratum, shape: [count, n] };
  if (graph.inputs.has("shared")) feeds.shared = { data: shared, shape: [count, 1] };
  const result = graph.run(feeds, { log_weight: count * n, bias: count * n, state_out: count * n * stateSize });
  const outputs = (r: Record<"log_weight" | "bias" | "state_out", Float32Array>): Output[] =>
    batch.map((o, b) => {
      const from = base === "kalman" ? o.kalman : o.weightStatic;
      const weights = new Float32Array(o.n);
      for (let i = 0; i < o.n; i++) weights[i] = (from[i] as number) * Math.exp(r.log_weight[b * n + i] as number);
      if (count === 1) return { weights, bias: r.bias, kappa, state: r.state_out };
      return {
        weights,
        bias: r.bias.slice(b * n, b * n + o.n),
        kappa,
        state: r.state_out.slice(b * n * stateSize, (b * n + o.n) * stateSize),
      };
    });
  return result instanceof Promise ? result.then(outputs) : outputs(result);
}
