// SPDX-License-Identifier: Apache-2.0
import { Counter, type Registry, readGauge } from "../common/metrics.js";
import type { FailoverCore } from "./core.js";
import type { Discovered } from "./discovery/discovery.js";
import type { ReplicaState } from "./votes.js";

const REPLICA_STATES: readonly ReplicaState[] = ["heard", "away", "cut_off"];

export function failoverMetrics(
  registry: Registry,
  core: FailoverCore,
  heard: {
    health(): ReadonlyMap<string, ReplicaState>;
    store(): boolean;
    found(): ReadonlyMap<string, Readonly<Discovered>>;
  },
) {
  const registers = [registry];
  const states = ["NORMAL", "DEGRADED", "PANIC"] as const;
  readGauge(registry, "marllb_failover_pool_state", "1 for the state that a pool is in", ["vip", "state"], (say) => {
    for (const v of core.served()) {
      for (const s of states) say({ vip: v.name, state: s.toLowerCase() }, v.order.status === s ? 1 : 0);
    }
  });
  readGauge(registry, "marllb_failover_members", "Members of a pool by what new flows they may take", ["vip", "share"], (say) => {
    for (const v of core.served()) {
      const factors = v.order.members.map((m) => v.order.shares.get(m.address)?.factor ?? 1);
      say({ vip: v.name, share: "full" }, factors.filter((f) => f === 1).length);
      say({ vip: v.name, share: "part" }, factors.filter((f) => f > 0 && f < 1).length);
      say({ vip: v.name, share: "none" }, factors.filter((f) => f === 0).length);
    }
  });
  const factor = "Share of its weight that a server may use by the order in force: 0 none, 1 all; between: slow start";
  readGauge(registry, "marllb_failover_server_factor", factor, ["vip", "server"], (say) => {
    for (const v of core.served()) {
      for (const { address } of v.order.members) say({ vip: v.name, server: address }, v.order.shares.get(address)?.factor ?? 1);
    }
  });
  const hold = "1 for a server that an operator holds back; kind: drain or maintenance";
  readGauge(registry, "marllb_failover_server_hold", hold, ["vip", "server", "kind"], (say) => {
    for (const v of core.served()) for (const h of v.intent.holds) say({ vip: v.name, server: h.address, kind: h.kind }, 1);
  });
  readGauge(registry, "marllb_failover_term", "Term of a pool's order in force", ["vip"], (say) => {
    for (const v of core.served()) say({ vip: v.name }, v.term);
  });
  readGauge(registry, "marllb_failover_agents", "Agents that serve a pool", ["vip"], (say) => {
    for (const v of core.served()) say({ vip: v.name }, core.agentsOf(v.name).length);
  });
  readGauge(registry, "marllb_failover_health_connected", "1 while verdicts of some replica are heard", [], (say) => {
    say({}, [...heard.health().values()].some((s) => s !== "away") ? 1 : 0);
  });
  readGauge(
    registry,
    "marllb_failover_health_replicas",
    "Replicas of health by whether they are heard; one that is cut off reaches no server while another does",
    ["state"],
    (say) => {
      for (const s of REPLICA_STATES) say({ state: s }, [...heard.health().values()].filter((x) => x === s).length);
    },
  );
  readGauge(registry, "marllb_failover_store_connected", "1 while the newest orders are known", [], (say) => {
    say({}, heard.store() ? 1 : 0);
  });
  readGauge(registry, "marllb_failover_found_servers", "Servers that a pool's name or file holds", ["vip"], (say) => {
    for (const [vip, d] of heard.found()) say({ vip }, d.servers);
  });
  readGauge(
    registry,
    "marllb_failover_discovery_failing",
    "1 while a pool's name or file tells no servers, or not all can be taken: the last list stands",
    ["vip"],
    (say) => {
      for (const [vip, d] of heard.found()) say({ vip }, d.problem === "" ? 0 : 1);
    },
  );
  return {
    frames: new Counter({ name: "marllb_failover_frames_total", help: "Frames received", registers }),
    refused: new Counter({ name: "marllb_failover_frames_refused_total", help: "Frames that could not be read", registers }),
    orders: new Counter({ name: "marllb_failover_orders_total", help: "Directives sent", registers }),
    storeErrors: new Counter({
      name: "marllb_failover_store_errors_total",
      help: "Reads and writes of the store that failed",
      registers,
    }),
  };
}

export type FailoverMetrics = ReturnType<typeof failoverMetrics>;
