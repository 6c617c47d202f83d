// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { systemClock } from "../../common/clock.js";
import { enableTracing } from "../../common/telemetry.js";
import { DEADLINE_EXCEEDED, type Tick, TickLog, type TickTrace, tickSpans } from "../ticks.js";
import { rawFrame } from "./fake-region.js";

const OFFSET = 1_000_000_000;
/** A frame of 100 000 us. */
const frame = rawFrame(1, [{ id: 1, address: "127.0.0.1:1" }]);

const trace = (over: Partial<TickTrace> = {}): TickTrace => ({
  ids: { traceId: "1".repeat(32), spanId: "2".repeat(16) },
  call: "3".repeat(16),
  sampled: true,
  offsetUs: OFFSET,
  readUs: 100_300,
  answered: { atUs: 101_000, policy: "kalman", inferenceUs: 90 },
  publishedUs: 101_200,
  server: "10.0.0.7:50052",
  ...over,
});
const published = { seq: 5, ladder: "model", source: "inference" };
const effect = { ms: 1.5, swapMs: 1.3, slow: false };
const tick = (over: Partial<Tick> = {}): Tick => ({ vip: "web", frame, published, trace: null, ...over });

test("the steps of a good tick follow each other, from the frame to its effect", (t) => {
  const root = tickSpans(tick(), trace(), { atUs: 101_500, effect });
  t.deepEqual([root.startUs, root.endUs, root.error], [OFFSET + 100_000, OFFSET + 101_500, undefined]);
  t.deepEqual(
    root.children?.map((c) => [c.name, c.startUs - OFFSET, c.endUs - OFFSET]),
    [
      ["shm-agent.read", 100_000, 100_300],
      ["marllb.v1.Inference/Steer", 100_300, 101_000],
      ["shm-agent.publish", 101_000, 101_200],
      ["dataplane.effect", 101_200, 101_500],
    ],
  );
  const call = root.children?.[1];
  t.deepEqual([call?.kind, call?.spanId, call?.error], ["CLIENT", "3".repeat(16), undefined]);
  t.deepEqual([call?.attributes?.["server.address"], call?.attributes?.["server.port"]], ["10.0.0.7", 50052]);
});

test("an effect that was swapped before we had read the clock: the publish ended then, and the tick ends with its effect", (t) => {
  const root = tickSpans(tick(), trace({ publishedUs: 101_900 }), { atUs: 101_500, effect });
  t.is(root.endUs - OFFSET, 101_500);
  t.deepEqual(
    root.children?.slice(2).map((c) => [c.name, c.startUs - OFFSET, c.endUs - OFFSET]),
    [
      ["shm-agent.publish", 101_000, 101_300],
      ["dataplane.effect", 101_300, 101_500],
    ],
  );
  for (const c of root.children ?? []) {
    t.true(c.endUs >= c.startUs, c.name);
    t.true(c.startUs >= root.startUs && c.endUs <= root.endUs, c.name);
  }
});

test("a tick without an answer shows whom it waited for, until it gave up", (t) => {
  const end = { atUs: 300_000, effect: null, why: "no answer within a tick", code: DEADLINE_EXCEEDED };
  const root = tickSpans(tick({ published: null }), trace({ answered: null }), end);
  t.deepEqual(
    root.children?.map((c) => c.name),
    ["shm-agent.read", "marllb.v1.Inference/Steer"],
  );
  const call = root.children?.[1];
  t.is(call?.endUs, OFFSET + 300_000);
  t.deepEqual([call?.error, call?.attributes?.["rpc.grpc.status_code"]], ["no answer within a tick", 4]);
  t.is(call?.attributes?.["server.address"], "10.0.0.7");
});

test("an answer that the envelope refused: the call was good, the publication was not", (t) => {
  const root = tickSpans(tick({ published: null }), trace(), { atUs: 101_300, effect: null, why: "refused: all-zero" });
  t.deepEqual(
    root.children?.map((c) => [c.name, c.error]),
    [
      ["shm-agent.read", undefined],
      ["marllb.v1.Inference/Steer", undefined],
      ["shm-agent.publish", "refused: all-zero"],
    ],
  );
});

test("only a trace that was written is named: not that of a slow tick which the user's sampler refuses", (t) => {
  const log = new TickLog({ sample_ms: 1000, slow_ms: 1 }, systemClock);
  const slow = { atUs: 101_500, effect: { ...effect, slow: true } };
  const unsampled = trace({ sampled: false });
  const end = (asksSampler: boolean) => {
    // Nothing records here, and so the sampler takes nothing.
    enableTracing({ preset() {}, asksSampler, wallUs: () => 0 });
    return log.end("web", tick({ trace: unsampled }), slow);
  };
  t.is(end(true), null);
  t.deepEqual(end(false), unsampled.ids);
});
