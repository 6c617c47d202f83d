// SPDX-License-Identifier: Apache-2.0
import { Counter, Histogram, type Registry, readGauge } from "../common/metrics.js";
import type { Change } from "./registry.js";
import type { HealthState, Verdict } from "./verdict.js";

/** Looked at in the moment of a scrape. */
export interface HealthFigures {
  /** The verdict of each server that is judged. */
  states(): Iterable<Verdict>;
  /** The same for each server of each VIP of each load balancer. */
  servers(): Iterable<Change>;
  /** Checks that run. */
  checks(): number;
}

const STATES: readonly HealthState[] = ["UP", "DOWN", "UNKNOWN"];

export function healthMetrics(registry: Registry, figures: HealthFigures) {
  const registers = [registry];
  readGauge(
    registry,
    "marllb_health_servers",
    "Servers by verdict; one that several load balancers have counts once",
    ["state"],
    (say) => {
      const all = [...figures.states()];
      for (const s of STATES) say({ state: s.toLowerCase() }, all.filter((v) => v.state === s).length);
    },
  );
  const up = "1: a server is up, 0: it is down, as this replica judges; absent while it is not known";
  readGauge(registry, "marllb_health_server_up", up, ["vip", "server"], (say) => {
    const said = new Set<string>();
    for (const { target, verdict } of figures.servers()) {
      const key = `${target.vipName}/${target.address}`;
      if (verdict.state === "UNKNOWN" || said.has(key)) continue;
      said.add(key);
      say({ vip: target.vipName, server: target.address }, verdict.state === "UP" ? 1 : 0);
    }
  });
  const checks = "Checks that run; several servers and VIPs may share one";
  readGauge(registry, "marllb_health_checks", checks, [], (say) => say({}, figures.checks()));
  return {
    frames: new Counter({ name: "marllb_health_frames_total", help: "Frames received", registers }),
    refused: new Counter({ name: "marllb_health_frames_refused_total", help: "Frames that could not be read", registers }),
    transitions: new Counter({
      name: "marllb_health_transitions_total",
      help: "Verdicts that changed, by the new state",
      labelNames: ["state"],
      registers,
      born: STATES.map((s) => ({ state: s.toLowerCase() })),
    }),
    seconds: new Histogram({
      name: "marllb_health_check_seconds",
      help: "Time that good checks took",
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1],
      registers,
    }),
    late: new Histogram({
      name: "marllb_health_check_late_seconds",
      help: "How much later than due checks began",
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1],
      registers,
    }),
    ejections: new Counter({
      name: "marllb_health_ejections_total",
      help: "Servers that flows put out; done=no: not, because too many of the VIP's were out already",
      labelNames: ["done"],
      registers,
      born: [{ done: "yes" }, { done: "no" }],
    }),
    unmade: new Counter({
      name: "marllb_health_checks_unmade_total",
      help: "Checks that could not be made here, or during which this process stood still: they say nothing of the servers",
      registers,
    }),
  };
}

export type HealthMetrics = ReturnType<typeof healthMetrics>;
