// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { FailoverCore } from "../core.js";
import { Operator } from "../operator.js";
import { agent } from "./agents.js";

type Parts = ConstructorParameters<typeof Operator>[0];

test("a server that is down by a load balancer's word alone is shown with that reason, until health has its own", (t) => {
  const core = new FailoverCore({
    rules: { minHealthy: 1, panicThreshold: 0.3, slowStartMs: 1000 },
    events: { order() {}, changed() {}, forgotten() {}, later() {} },
    configured: () => 1,
    heard: () => "UNKNOWN",
    hears: () => false,
    fixed: [],
  });
  core.list(agent("lb1", [1, 2, 3], { masked: ["10.0.0.1:80"] }), { now: 0, unixMs: 0 });
  let said = "";
  const operator = new Operator({
    core,
    intents: { state: "current", reason: "" } as Parts["intents"],
    supervision: { seenOf: () => new Map(), flowsOf: () => [] } as unknown as Parts["supervision"],
    discovery: { pools: new Map() } as unknown as Parts["discovery"],
    whyDown: (_pool, address) => (address === "10.0.0.1:80" ? said : ""),
    policies: {} as Parts["policies"],
    config: {} as Parts["config"],
    clock: {} as Parts["clock"],
  });
  const checks = (): string[] => (operator.getPool({ vip_id: 0, name: "web" }).members ?? []).map((m) => m.check ?? "");
  t.deepEqual(checks(), ["so a load balancer had it; health has not judged it since", "", ""]);
  said = "tcp: connection refused";
  t.deepEqual(checks(), ["tcp: connection refused", "", ""]);
});
