// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { pino } from "pino";
import { goodMeta, tinyOnnx } from "../../../testbed/tiny-onnx.js";
import { Catalog } from "../catalog.js";
import { Intake, type Place } from "../intake.js";
import { loadModel } from "../model.js";
import type { Observation } from "../policy.js";

const shape = { schema: 1, serverFeatures: 3, poolFeatures: 2 };
const tiny = { ...shape, stateSize: 2, meta: goodMeta };
const observation = (first: number): Observation => ({
  n: 2,
  server: Float32Array.of(first, 0, 0, -first, 0, 0),
  pool: new Float32Array(2),
  kalman: Float32Array.of(1, 1),
  weightStatic: Float32Array.of(1, 1),
  stratum: new Float32Array(2),
  shared: false,
  latency: new Float32Array(2),
  dt: 0.2,
});

async function bed(t: ExecutionContext) {
  const folder = mkdtempSync(path.join(tmpdir(), "marllb-intake-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "marl.onnx");
  writeFileSync(file, tinyOnnx(tiny));
  const catalog = await Catalog.open(folder, [shape], pino({ level: "silent" }));
  const place = { policyName: "marl", seen: null as Place["seen"] };
  const allowed: string[] = [];
  const refused: string[] = [];
  const intake = new Intake({
    folder,
    load: (f) => loadModel(f, [shape]),
    current: (name) => catalog.model(name),
    places: () => [place],
    tickMs: 200,
    nowMs: () => 0,
    cpuMs: () => 0,
    allow(name, model) {
      catalog.install(name, model);
      allowed.push(`${name}.${model.hash}`);
    },
    refuse: (name, _file, why) => refused.push(`${name}: ${why}`),
  });
  const frame = (first: number): void => {
    place.seen = { observation: observation(first), ids: Uint32Array.of(1, 2), stepped: true, weights: Float32Array.of(1, 1) };
  };
  const looked = async (): Promise<void> => {
    await intake.look();
    await intake.look();
  };
  return { folder, file, catalog, place, allowed, refused, intake, frame, looked };
}

test("a file that changed is shadowed for fifty steps where it is to decide, then has the name; the one before stays under its hash", async (t) => {
  const { file, catalog, allowed, intake, frame, looked } = await bed(t);
  const before = catalog.model("marl")?.hash as string;
  frame(0.5);
  writeFileSync(file, tinyOnnx({ ...tiny, bias: 0.25 }));
  await intake.look();
  t.deepEqual(intake.onTrial, [], "it may still be written to");
  await intake.look();
  t.deepEqual(intake.onTrial, ["marl"]);
  for (let i = 0; i < 49; i++) {
    frame(0.01 * i);
    await intake.step();
    await intake.step();
  }
  t.is(catalog.model("marl")?.hash, before, "each frame counts once");
  frame(0.9);
  await intake.step();
  const now = catalog.model("marl")?.hash as string;
  t.deepEqual(allowed, [`marl.${now}`]);
  t.not(now, before);
  t.is(catalog.get(`marl.${before}`)?.name, `marl.${before}`);
  t.deepEqual(
    catalog.list().flatMap((m) => (m.kind === "onnx" ? [m.name] : [])),
    [`marl.${before}`, "marl"].sort(),
  );
  await looked();
  t.deepEqual(intake.onTrial, []);
});

test("one that cannot be loaded, fails on the last frame, or as a shadow, is refused with the reason, and nothing changes", async (t) => {
  const { file, catalog, allowed, refused, intake, frame, looked } = await bed(t);
  const before = catalog.model("marl")?.hash;
  frame(0.5);
  writeFileSync(file, "no model");
  await looked();
  t.regex(refused[0] ?? "", /^marl: /);
  // Finite for an idle pool and not for what was seen: exp(1e30 * 0.5).
  writeFileSync(file, tinyOnnx({ ...tiny, loud: 1e30 }));
  await looked();
  t.is(refused[1], "marl: its weights for the last frame are not finite");
  frame(0);
  writeFileSync(file, tinyOnnx({ ...tiny, loud: 1e31 }));
  await looked();
  t.deepEqual(intake.onTrial, ["marl"]);
  for (let i = 0; i < 5; i++) {
    frame(0.5 + i);
    await intake.step();
  }
  t.regex(refused[2] ?? "", /^marl: as a shadow: it failed 3 times in a row: its output is not finite/);
  t.deepEqual([allowed, catalog.model("marl")?.hash], [[], before]);
});

test("a model that nobody uses has its name at once; one that is as before is none", async (t) => {
  const { folder, file, allowed, intake, looked } = await bed(t);
  writeFileSync(path.join(folder, "other.onnx"), tinyOnnx({ ...tiny, bias: 0.1 }));
  await looked();
  await intake.step();
  t.regex(allowed[0] ?? "", /^other\./);
  writeFileSync(file, tinyOnnx(tiny));
  await looked();
  await intake.step();
  t.is(allowed.length, 1);
});
