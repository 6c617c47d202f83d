// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { parseConfig } from "../../common/config/load.js";
import { Demands, levelOf, type PlannedVip, type VipDemand } from "../demands.js";

const config = (health = ""): ReturnType<typeof parseConfig> =>
  parseConfig(`health: { ${health} }
vips:
  - { name: web, address: "10.9.0.1:80", send_proxy: v2, health: { kind: http }, servers: [{ address: "10.0.0.1:80", health: { kind: grpc } }] }`);
const demand = (level: object, servers: [string, object][] = []): VipDemand => ({
  level: levelOf("x", JSON.stringify(level)),
  sends: "v1",
  servers: new Map(servers.map(([a, l]) => [a, { level: levelOf("x", JSON.stringify(l)), sends: "off" }])),
  key: JSON.stringify([level, servers]),
});
const vip = (name: string, d?: VipDemand): PlannedVip => ({ name, address: "10.9.0.9:80", protocol: "tcp", demand: d });
const first = (d: Demands, v: PlannedVip, server = "10.0.0.1:80") => {
  const [c] = d.planFor(v, server).checks;
  return c ? `${c.kind} ${c.options.send_proxy}` : "none";
};

test("what this configuration names counts before what a load balancer demands", (t) => {
  const d = new Demands(config());
  t.is(first(d, vip("web", demand({ kind: "tcp" }))), "grpc v2");
  t.is(first(d, vip("web"), "10.0.0.2:80"), "http off");
  t.is(first(d, vip("api", demand({ kind: "https" }, [["10.0.0.1:80", { kind: "tcp" }]]))), "tcp off");
  t.is(first(d, vip("api", demand({ kind: "https" })), "10.0.0.2:80"), "https v1");
  t.is(first(d, vip("api")), "tcp v2", "the server is known from another VIP");
});

test("equal plans are one, and another configuration makes them anew", (t) => {
  const d = new Demands(config());
  t.is(d.planFor(vip("a"), "10.0.0.7:80"), d.planFor(vip("b"), "10.0.0.7:80"));
  t.is(first(d, vip("a")), "tcp v2");
  d.reload(config("kind: dns"));
  t.is(first(d, vip("a")), "dns undefined");
});

test("a program that only another's configuration allows is not run", (t) => {
  const exec = demand({ kind: "exec", exec: ["/bin/true"] });
  t.is(first(new Demands(config()), vip("api", exec)), "tcp off");
  t.is(first(new Demands(config("allow_exec: true")), vip("api", exec)), "exec undefined");
});

test("a demand that makes no sense is refused with its field", (t) => {
  t.throws(() => levelOf("checks[0].health", "{"), { message: /checks\[0\]\.health: expected JSON/ });
  t.throws(() => levelOf("checks[0].health", '{"kind":"x"}'), { message: /checks\[0\]\.health\.kind/ });
  t.is(levelOf("checks[0].health", ""), undefined);
});
