// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import type { OtlpSpan } from "../../../testbed/otlp.js";
import { waterfall } from "../../waterfall/waterfall.js";

const span = (name: string, spanId: string, parentId: string, startUs: number, endUs: number, more = {}): OtlpSpan => ({
  ...{ service: "marllb-shm-agent", resource: {}, traceId: "abc", kind: 1, attributes: {}, links: [], error: "" },
  ...{ name, spanId, parentId, startUs: 1e15 + startUs, endUs: 1e15 + endUs, ...more },
});

test("each span is a line under its parent, in the order of time, with its bar where it ran", (t) => {
  const trace = [
    span("dataplane.effect", "4", "1", 600, 1000),
    span("tick", "1", "", 0, 1000, { attributes: { "marllb.vip": "web", "marllb.effect_ms": 1.23456 } }),
    span("Steer", "2", "1", 100, 600, { kind: 3 }),
    span("Steer", "3", "2", 200, 400, { service: "marllb-inference", error: "no model" }),
    span("Report", "5", "1", 1900, 2000, { service: "marllb-health" }),
  ];
  const lines = waterfall(trace).split("\n");
  t.is(lines[0], "trace abc  marllb.vip=web  marllb.effect_ms=1.235");
  t.deepEqual(
    lines.slice(1).map((l) => l.slice(0, 32).trimEnd()),
    [
      "tick                 shm-agent",
      "├─ Steer             shm-agent",
      "│  └─ Steer          inference",
      "├─ dataplane.effect  shm-agent",
      "└─ Report            health",
    ],
  );
  const bars = lines.slice(1).map((l) => [l.indexOf("█"), l.lastIndexOf("█")]);
  const left = bars[0]?.[0] as number;
  t.deepEqual(
    bars.map(([a, b]) => [(a as number) - left, (b as number) - left]),
    [
      [0, 23],
      [2, 13],
      [5, 9],
      [14, 23],
      [46, 47],
    ],
  );
  t.regex(lines[3] ?? "", / 0\.20 ms {2}no model$/);
  t.is(waterfall([]), "no spans");
});
