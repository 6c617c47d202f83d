// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { pino } from "pino";
import type { Frame__Output } from "../../../gen/marllb/v1/Frame.js";
import { goodMeta, tinyOnnx } from "../../../testbed/tiny-onnx.js";
import { Batcher } from "../batcher.js";
import { Catalog } from "../catalog.js";
import { type Observed, Session, type SessionOptions } from "../session.js";

const folder = mkdtempSync(join(tmpdir(), "marllb-session-"));
const tiny = { serverFeatures: 3, poolFeatures: 2, stateSize: 2, meta: goodMeta };
writeFileSync(join(folder, "marl.onnx"), tinyOnnx(tiny));
test.after.always(() => rmSync(folder, { recursive: true }));

/** Frames here name their servers in `records`; the observation counts its steps in its state. */
function frame(seq: number, ids: number[], generation = 1): Frame__Output {
  return { vip_id: 1, dp_epoch: "1", generation, seq: String(seq), records: Buffer.from(ids) } as unknown as Frame__Output;
}

async function setup(over: Partial<SessionOptions> = {}) {
  const failures: string[] = [];
  const seen: number[] = [];
  const options: SessionOptions = {
    observe(f, before): Observed {
      const steps = before ? before.readUInt32LE(0) : 0;
      seen.push(steps);
      const state = Buffer.alloc(4);
      state.writeUInt32LE(steps + 1, 0);
      const ids = Uint32Array.from(f.records as Buffer);
      const n = ids.length;
      return {
        ids,
        weightStatic: Float32Array.from(ids),
        state,
        stepped: Number(f.seq) % 2 === 0,
        server: new Float32Array(3 * n),
        pool: new Float32Array(2),
        kalman: Float32Array.from({ length: n }, (_, i) => i + 1),
        stratum: new Float32Array(n),
        shared: false,
        outOfRange: 0,
        latency: new Float32Array(n).fill(Number.NaN),
        dt: Number(f.seq) % 2 === 0 ? 0.2 : 0,
      };
    },
    catalog: await Catalog.open(folder, [{ schema: 1, serverFeatures: 3, poolFeatures: 2 }], pino({ level: "silent" })),
    batcher: new Batcher(0, () => 1),
    observationSchema: 1,
    nowUs: () => 0,
    onFailure: (policy) => failures.push(policy),
    ...over,
  };
  return { options, failures, seen, session: (policy: string) => new Session(policy, options) };
}
const weights = (w: { weights?: unknown }): number[] => {
  const b = w.weights as Buffer;
  return Array.from({ length: b.length / 4 }, (_, i) => b.readFloatLE(4 * i));
};

test("the built-in policies", async (t) => {
  const { session } = await setup();
  t.deepEqual(weights(await session("uniform").step(frame(2, [3, 5]))), [1, 1]);
  t.deepEqual(weights(await session("static").step(frame(2, [3, 5]))), [3, 5]);
  const k = await session("kalman").step(frame(2, [3, 5]));
  t.deepEqual(weights(k), [1, 2]);
  t.deepEqual([k.ladder, k.policy, k.kappa, k.server_ids], ["LADDER_MODEL", "kalman", 0, [3, 5]]);
});

test("peak-ewma decides at native steps, by latency, and its memory follows its servers", async (t) => {
  const latency: Record<number, number> = { 3: 0.1, 5: 0.4 };
  const base = await setup();
  const { session } = await setup({
    observe(f, before) {
      const o = base.options.observe(f, before);
      return { ...o, latency: Float32Array.from(o.ids, (id) => latency[id] ?? Number.NaN) };
    },
  });
  const s = session("peak-ewma");
  t.is((await s.step(frame(1, [3, 5]))).ladder, "LADDER_KALMAN", "before the first step there is only Kalman");
  const w = await s.step(frame(2, [3, 5]));
  t.is(w.ladder, "LADDER_MODEL");
  t.is(w.kappa, 1);
  const [a, b] = weights(w) as [number, number];
  t.true(Math.abs(a / b - 4) < 1e-5);
  latency[3] = 1.6; // a peak acts at once
  const [c, d] = weights(await s.step(frame(4, [3, 5]))) as [number, number];
  t.true(Math.abs(c / d - 0.25) < 1e-5);
  latency[3] = 0.1;
  latency[5] = Number.NaN; // silent: as before
  const [e, f] = weights(await s.step(frame(6, [5, 3]))) as [number, number];
  t.true(Math.abs(f / e - 0.4 / (1.6 - 1.5 * (1 - Math.exp(-0.02)))) < 1e-4);
});

test("between two native steps a model's last answer stands, by server id", async (t) => {
  const { session } = await setup();
  const s = session("marl");
  t.is((await s.step(frame(1, [3, 5]))).ladder, "LADDER_KALMAN", "before the first step there is only Kalman");
  const w = await s.step(frame(2, [3, 5]));
  t.is(w.ladder, "LADDER_MODEL");
  const first = s.last;
  const later = await s.step(frame(3, [3, 5, 7], 2));
  t.is(s.last, first);
  t.deepEqual([later.generation, later.frame_seq, later.server_ids], [2, "3", [3, 5]]);
  await s.step(frame(4, [3, 5, 7], 2));
  t.not(s.last, first);
});

test("a model's state follows its servers and is handed over by the checkpoint", async (t) => {
  const { session } = await setup();
  const a = session("marl");
  await a.step(frame(2, [3, 5]));
  await a.step(frame(4, [3, 5]));
  const saved = a.checkpoint(1);
  const b = session("kalman");
  t.true(b.restore({ vip_id: 1, policy: saved.policy, schema: 1, state: saved.state }));
  t.is(b.policyName, "marl", "the chosen policy is part of the checkpoint");
  await b.step(frame(6, [5, 9]));
  t.deepEqual([...(b.last?.output.state ?? [])], [3, 3, 1, 1]);
});

test("a checkpoint of no use starts anew but keeps the policy", async (t) => {
  const { session } = await setup();
  const s = session("kalman");
  t.false(s.restore({ vip_id: 1, policy: "marl", schema: 1, state: Buffer.from("junk, and long enough to look at") }));
  t.is(s.policyName, "marl");
  t.false(session("kalman").restore({ vip_id: 1, policy: "", schema: 7, state: Buffer.from("x") }));
});

test("a policy that there is not, or that fails, leaves Kalman, and says so", async (t) => {
  const { session, failures } = await setup();
  const s = session("nope");
  const w = await s.step(frame(2, [3, 5]));
  t.deepEqual(weights(w), [1, 2]);
  t.is(w.ladder, "LADDER_KALMAN");
  t.regex(s.last?.fellBack ?? "", /no policy "nope"/);

  const sick = mkdtempSync(join(tmpdir(), "marllb-sick-"));
  t.teardown(() => rmSync(sick, { recursive: true }));
  writeFileSync(join(sick, "marl.onnx"), tinyOnnx({ ...tiny, bias: Number.NaN }));
  const catalog = await Catalog.open(sick, [{ schema: 1, serverFeatures: 3, poolFeatures: 2 }], pino({ level: "silent" }));
  const broken = await setup({ catalog });
  const v = await broken.session("marl").step(frame(2, [3, 5]));
  t.deepEqual(weights(v), [1, 2]);
  t.is(v.ladder, "LADDER_KALMAN");
  t.deepEqual(broken.failures, ["marl"]);
  t.deepEqual(failures, []);
});

test("a state that the observation refuses is forgotten, not the stream", async (t) => {
  const base = await setup();
  const { session, failures } = await setup({
    observe(f, before) {
      if (before?.toString() === "poison") throw new Error("schema");
      return base.options.observe(f, null);
    },
    onFailure: (what) => failures.push(what),
  });
  const s = session("kalman");
  const good = session("kalman");
  await good.step(frame(2, [3]));
  s.restore({ vip_id: 1, policy: "kalman", schema: 1, state: good.checkpoint(1).state });
  (s as unknown as { observation: Buffer }).observation = Buffer.from("poison");
  t.deepEqual(weights(await s.step(frame(4, [3, 5]))), [1, 2]);
  t.deepEqual(failures, ["observation"]);
});

test("SetPolicy acts with the next frame, native step or not", async (t) => {
  const { session } = await setup();
  const s = session("kalman");
  await s.step(frame(2, [3, 5]));
  s.setPolicy("static");
  const w = await s.step(frame(3, [3, 5]));
  t.deepEqual([w.policy, ...weights(w)], ["static", 3, 5]);
});

test("a warm-up request gives the last answer again and leaves everything as it was", async (t) => {
  for (const policy of ["kalman", "marl"]) {
    const { session, seen } = await setup();
    const s = session(policy);
    for (const seq of [2, 4]) await s.step(frame(seq, [3, 5]));
    const answer = weights(await s.step(frame(6, [3, 5])));
    const before = [s.last, s.checkpoint(1)];
    for (let i = 0; i < 2; i++) t.deepEqual(weights(await s.warmUp(frame(6, [3, 5]))), answer);
    t.deepEqual([s.last, s.checkpoint(1)], before);
    t.deepEqual(seen, [0, 1, 2, 2, 2], "observed from the same state each time");
    await s.step(frame(8, [3, 5]));
    t.is(seen.at(-1), 3);
  }
});

test("a policy set during a warm-up request starts with an empty state", async (t) => {
  const { session } = await setup();
  const s = session("marl");
  await s.step(frame(2, [3, 5]));
  const warming = s.warmUp(frame(2, [3, 5]));
  s.setPolicy("kalman");
  await warming;
  t.is(s.policyName, "kalman");
  s.setPolicy("marl");
  await s.step(frame(4, [3, 5]));
  t.deepEqual([...(s.last?.output.state ?? [])], [1, 1, 1, 1], "as after one step");
});

test("a policy set while a decision waits for others starts with an empty state, and the answer names who gave it", async (t) => {
  writeFileSync(join(folder, "other.onnx"), tinyOnnx(tiny));
  const { session } = await setup({ batcher: new Batcher(1, () => 8) });
  const s = session("marl");
  await s.step(frame(2, [3, 5]));
  const step = s.step(frame(4, [3, 5]));
  s.setPolicy("other");
  t.is((await step).policy, "marl");
  t.is(s.last?.asked, "marl");
  t.is(s.checkpoint(1).policy, "other");
  const w = await s.step(frame(6, [3, 5]));
  t.deepEqual([w.policy, w.ladder], ["other", "LADDER_MODEL"]);
  t.deepEqual([...(s.last?.output.state ?? [])], [1, 1, 1, 1], "as after one step");
});

test("a checkpoint fits into a message: a state that is too long is left out, the observation and the choice are not", async (t) => {
  const large = mkdtempSync(join(tmpdir(), "marllb-large-"));
  t.teardown(() => rmSync(large, { recursive: true }));
  writeFileSync(join(large, "big.onnx"), tinyOnnx({ ...tiny, stateSize: 4096, meta: { ...goodMeta, state_size: "4096" } }));
  const catalog = await Catalog.open(large, [{ schema: 1, serverFeatures: 3, poolFeatures: 2 }], pino({ level: "silent" }));
  const { session } = await setup({ catalog });
  for (const [n, whole] of [
    [8, true],
    [70, false],
  ] as const) {
    const s = session("big");
    await s.step(
      frame(
        2,
        Array.from({ length: n }, (_, i) => i + 1),
      ),
    );
    const saved = s.checkpoint(1);
    t.true(saved.state.length < 1 << 20);
    t.is(saved.state.length > n * 4096, whole);
    const heir = session("kalman");
    t.true(heir.restore(saved));
    t.is(heir.policyName, "big");
    t.is(heir.checkpoint(1).state.length, saved.state.length);
  }
});
