// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { pino } from "pino";
import { goodMeta, type TinyOptions, tinyOnnx } from "../../../testbed/tiny-onnx.js";
import { modelMetadata } from "../../common/native/network.js";
import { observationShape } from "../../common/native/observe.js";
import { heuristics } from "../../common/native/policies.js";
import { projectRoot } from "../../common/root.js";
import { Catalog } from "../catalog.js";
import { openCore, openGraph, openOnnxruntime } from "../graph.js";
import { loadModel } from "../model.js";
import type { Observation } from "../policy.js";

const shape = [{ schema: 1, serverFeatures: 3, poolFeatures: 2 }];
const good: TinyOptions = { serverFeatures: 3, poolFeatures: 2, stateSize: 2, meta: goodMeta };
const dir = mkdtempSync(join(tmpdir(), "marllb-models-"));
test.after.always(() => rmSync(dir, { recursive: true }));

let files = 0;
function file(content: Buffer | TinyOptions, name = `m${files++}`): string {
  const path = join(dir, `${name}.onnx`);
  writeFileSync(path, Buffer.isBuffer(content) ? content : tinyOnnx(content));
  return path;
}
function observation(firstFeatures: number[], kalman: number[]): Observation {
  const n = firstFeatures.length;
  const server = new Float32Array(3 * n);
  firstFeatures.forEach((f, i) => {
    server[3 * i] = f;
  });
  return {
    n,
    server,
    pool: new Float32Array(2),
    kalman: Float32Array.from(kalman),
    weightStatic: new Float32Array(n).fill(7),
    stratum: Float32Array.from({ length: n }, (_, i) => (i + 1) / 8),
    shared: false,
    latency: new Float32Array(n).fill(Number.NaN),
    dt: 0.2,
  };
}

test("metadata is read from the file itself", (t) => {
  t.deepEqual(Object.fromEntries(modelMetadata(tinyOnnx(good))), goodMeta);
  t.throws(() => modelMetadata(Buffer.from("not a model at all")));
});

test("a good model: weights on Kalman's, bias, state; two load balancers of different size in one run", async (t) => {
  const model = await loadModel(file(good), shape);
  t.is(model.stateSize, 2);
  const [a, b] = await model.decide(
    [observation([0, Math.log(2)], [1, 3]), observation([0, 0, Math.log(3)], [1, 1, 2])],
    [Float32Array.of(1, 2, 3, 4), new Float32Array(6)],
  );
  t.deepEqual(
    Array.from(a?.weights ?? [], (w) => Math.round(w * 1000) / 1000),
    [1, 6],
  );
  t.deepEqual([...(a?.bias ?? [])], [0.5, 0.5]);
  t.deepEqual([...(a?.state ?? [])], [2, 3, 4, 5]);
  t.deepEqual(
    Array.from(b?.weights ?? [], (w) => Math.round(w * 1000) / 1000),
    [1, 1, 6],
  );
  t.is(b?.state.length, 6);
});

test("base configured starts from the configured weights", async (t) => {
  const model = await loadModel(file({ ...good, meta: { ...goodMeta, base: "configured" } }), shape);
  const [a] = await model.decide([observation([0, 0], [1, 3])], [new Float32Array(4)]);
  t.deepEqual([...(a?.weights ?? [])], [7, 7]);
});

test("a model that asks for strata and sharing gets them, alone and in a batch, and its kappa is passed on", async (t) => {
  const model = await loadModel(file({ ...good, strata: true, meta: { ...goodMeta, kappa: "1" } }), shape);
  const [a, b] = [observation([0, 0], [1, 1]), { ...observation([0, 0, 0], [1, 1, 1]), shared: true }];
  const [alone] = await model.decide([a], [new Float32Array(4)]);
  t.deepEqual([...(alone?.bias ?? [])], [0.125, 0.25]);
  t.is(alone?.kappa, 1);
  const both = await model.decide([a, b], [new Float32Array(4), new Float32Array(6)]);
  t.deepEqual([...(both[0]?.bias ?? [])], [0.125, 0.25]);
  t.deepEqual([...(both[1]?.bias ?? [])], [1.125, 1.25, 1.375]);
  t.is(both[1]?.kappa, 1);
  const [plain] = await (await loadModel(file({ ...good, meta: { ...goodMeta, kappa: "1/M" } }), shape)).decide(
    [a],
    [new Float32Array(4)],
  );
  t.is(plain?.kappa, 0, "the agent's default, 1 / load balancers");
});

const refused: [what: string, model: () => Buffer | TinyOptions, reason: RegExp][] = [
  ["another schema", () => ({ ...good, meta: { ...goodMeta, observation_schema: "9" } }), /observation schema 9, this is 1/],
  ["no schema", () => ({ ...good, meta: { base: "kalman" } }), /no observation_schema/],
  ["another step", () => ({ ...good, meta: { ...goodMeta, native_step_ms: "250" } }), /native step is 250 ms/],
  ["an unknown base", () => ({ ...good, meta: { ...goodMeta, base: "x" } }), /base is "x"/],
  ["a kappa that is none", () => ({ ...good, meta: { ...goodMeta, kappa: "2/M" } }), /kappa is "2\/M", expected 1\/M or flows/],
  ["a kappa of nothing", () => ({ ...good, meta: { ...goodMeta, kappa: "" } }), /kappa is ""/],
  ["another number of features", () => ({ ...good, serverFeatures: 4 }), /input server has shape .* 3 at its end/],
  [
    "a state size that lies",
    () => ({ ...good, meta: { ...goodMeta, state_size: "3" } }),
    /input state has shape .* 3 at its end/,
  ],
  ["a missing output", () => ({ ...good, without: "bias" }), /no output bias/],
  ["a kappa in blanks", () => ({ ...good, meta: { ...goodMeta, kappa: " 1 " } }), /kappa is " 1 "/],
  [
    "a pool of one size",
    () => ({ ...good, servers: 4 }),
    /shape \[-1, 4, 3\], expected any number of load balancers and servers/,
  ],
  ["an output of another type", () => ({ ...good, double: true }), /output bias is not float32/],
  ["a graph that contradicts itself", () => ({ ...good, emptyBound: true }), /Clip, for "unused".*: a bound must be one value/],
  ["half a file", () => tinyOnnx(good).subarray(0, 300), /not an ONNX file/],
  ["no model", () => Buffer.from("hello"), /not an ONNX file/],
];
for (const [what, model, reason] of refused) {
  test(`refused with the reason: ${what}`, async (t) => {
    await t.throwsAsync(loadModel(file(model()), shape), { message: reason });
  });
}

test("the catalog lists what can be used and what cannot, with the reason", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "marllb-catalog-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "marl.onnx"), tinyOnnx(good));
  writeFileSync(join(folder, "old.onnx"), tinyOnnx({ ...good, meta: { ...goodMeta, observation_schema: "0" } }));
  const catalog = await Catalog.open(folder, shape, pino({ level: "silent" }));
  t.deepEqual(
    catalog.list().map((m) => [m.name, m.kind, m.usable]),
    [...heuristics.map((h) => [h.name, "builtin", true]), ["marl", "onnx", true], ["old", "onnx", false]],
  );
  t.is(catalog.need("model:marl").name, "marl");
  t.throws(() => catalog.need("old"), { message: /model old cannot be used: it was trained with observation schema 0/ });
  t.throws(() => catalog.need("nope"), { message: /no policy "nope"; there are kalman, .*uniform, marl/ });
});

test("a model does not take a built-in policy's name", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "marllb-catalog-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "kalman.onnx"), tinyOnnx(good));
  const catalog = await Catalog.open(folder, shape, pino({ level: "silent" }));
  t.is(catalog.need("kalman").kind, "builtin");
  t.like(catalog.list().at(-1), { name: "kalman", usable: false, note: "its name is a built-in policy's" });
});

test("a folder that does not exist leaves the built-in policies", async (t) => {
  t.is((await Catalog.open(join(dir, "none"), shape, pino({ level: "silent" }))).list().length, heuristics.length);
});

/** Numbers in -1..1, the same every time. */
function numbers(n: number, seed: number): Float32Array {
  let x = seed;
  return Float32Array.from({ length: n }, () => {
    x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
    return x / 1_073_741_824 - 1;
  });
}

for (const name of readdirSync(join(projectRoot, "models")).filter((f) => f.endsWith(".onnx"))) {
  test(`${name}: the core evaluates it as onnxruntime does, alone and in a batch, over ten steps`, async (t) => {
    const bytes = readFileSync(join(projectRoot, "models", name));
    const graphs = [openCore(bytes), await openOnnxruntime(bytes)] as const;
    t.is((await openGraph(bytes)).engine, "core");
    const schema = observationShape.schemas.find((s) => String(s.schema) === modelMetadata(bytes).get("observation_schema"));
    const { serverFeatures: F, poolFeatures: P } = schema as (typeof observationShape.schemas)[number];
    const S = Number(modelMetadata(bytes).get("state_size"));
    for (const [B, N] of [
      [1, 1],
      [1, 64],
      [3, 7],
    ] as const) {
      const mask = new Float32Array(B * N).fill(1);
      if (N > 1) mask[B * N - 1] = 0;
      const states: Float32Array[] = graphs.map(() => new Float32Array(B * N * S));
      for (let step = 0; step < 10; step++) {
        const server = { data: numbers(B * N * F, step + 1), shape: [B, N, F] };
        const pool = { data: numbers(B * P, step + 100), shape: [B, P] };
        const stratum = { data: numbers(B * N, step + 200), shape: [B, N] };
        const shared = { data: new Float32Array(B).fill(step % 2), shape: [B, 1] };
        const [a, b] = await Promise.all(
          graphs.map((g, i) =>
            g.run(
              {
                server,
                pool,
                mask: { data: mask, shape: [B, N] },
                state: { data: states[i] as Float32Array, shape: [B, N, S] },
                ...(g.inputs.has("stratum") ? { stratum, shared } : {}),
              },
              { log_weight: B * N, bias: B * N, state_out: B * N * S },
            ),
          ),
        );
        for (const output of ["log_weight", "bias", "state_out"] as const) {
          const worst = (a?.[output] as Float32Array).reduce(
            (w, x, i) => Math.max(w, Math.abs(x - (b?.[output][i] as number))),
            0,
          );
          t.true(worst < 1e-4, `${output} of ${B} x ${N} servers, step ${step}: ${worst} apart`);
        }
        states[0] = a?.state_out as Float32Array;
        states[1] = b?.state_out as Float32Array;
      }
    }
  });
}

for (const name of ["marl", "sac-gru", "qmix"]) {
  test(`${name} decides for a pool without servers, alone and beside others`, async (t) => {
    const [F, P] = [observationShape.server.length, observationShape.pool.length];
    const model = await loadModel(join(projectRoot, "models", `${name}.onnx`), observationShape.schemas);
    const empty = { ...observation([], []), pool: new Float32Array(P) };
    const two = { ...observation([0, 0], [1, 1]), server: new Float32Array(2 * F), pool: new Float32Array(P) };
    const none = new Float32Array(0);
    t.is((await model.decide([empty], [none]))[0]?.weights.length, 0);
    const both = await model.decide([empty, two], [none, new Float32Array(2 * model.stateSize)]);
    t.deepEqual(
      both.map((o) => o.weights.length),
      [0, 2],
    );
    t.true(both[1]?.weights.every((w) => w > 0));
  });
}

test("a model of an older schema sees the first features of a newer one", async (t) => {
  const newer = [{ schema: 2, serverFeatures: 5, poolFeatures: 4 }, ...shape];
  const old = await loadModel(file(good), shape);
  const same = await loadModel(file(good), newer);
  const a = observation([0.5, -1], [1, 3]);
  const wide = {
    ...a,
    server: Float32Array.of(...a.server.subarray(0, 3), 7, 8, ...a.server.subarray(3, 6), 9, 10),
    pool: new Float32Array(4),
  };
  const state = new Float32Array(4);
  t.deepEqual(await same.decide([wide], [state]), await old.decide([a], [state]));
  t.deepEqual(await same.decide([wide, wide], [state, state]), await old.decide([a, a], [state, state]));
});

test("a graph with an op that the core does not know goes to onnxruntime, and gives the same", async (t) => {
  const graph = await openGraph(tinyOnnx({ ...good, op: "Elu" }));
  t.is(graph.engine, "onnxruntime");
  const core = await loadModel(file(good), shape);
  const other = await loadModel(file({ ...good, op: "Elu" }), shape);
  const ask = [[observation([0, 1], [1, 3])], [new Float32Array(4)]] as const;
  t.deepEqual((await other.decide(...ask))[0]?.weights, (await core.decide(...ask))[0]?.weights);
});

test("a use of an op that the core does not know goes to onnxruntime as well", async (t) => {
  const [core, other] = [await loadModel(file(good), shape), await loadModel(file({ ...good, twoAxes: true }), shape)];
  const ask = [
    [observation([0, 1], [1, 3]), observation([0.5], [1])],
    [new Float32Array(4), new Float32Array(2)],
  ] as const;
  t.deepEqual(
    (await other.decide(...ask)).map((o) => o.weights),
    (await core.decide(...ask)).map((o) => o.weights),
  );
});
