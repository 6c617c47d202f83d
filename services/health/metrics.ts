// SPDX-License-Identifier: Apache-2.0
import { Counter, Gauge, Histogram, type Registry } from "../common/metrics.js";
import type { HealthState } from "./verdict.js";

/** `states`: the verdict of each server of each VIP, at the moment of a scrape. */
export function healthMetrics(registry: Registry, states: () => Iterable<HealthState>) {
  const registers = [registry];
  new Gauge({
    name: "marllb_health_servers",
    help: "Servers by verdict",
    labelNames: ["state"],
    registers,
    collect() {
      this.reset();
      for (const state of states()) this.inc({ state: state.toLowerCase() });
    },
  });
  return {
    frames: new Counter({ name: "marllb_health_frames_total", help: "Frames received", registers }),
    refused: new Counter({ name: "marllb_health_frames_refused_total", help: "Frames that could not be read", registers }),
    transitions: new Counter({
      name: "marllb_health_transitions_total",
      help: "Verdicts that changed, by the new state",
      labelNames: ["state"],
      registers,
    }),
    seconds: new Histogram({
      name: "marllb_health_check_seconds",
      help: "Time that good checks took",
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1],
      registers,
    }),
    unmade: new Counter({
      name: "marllb_health_checks_unmade_total",
      help: "Checks that could not be made here; they say nothing of the servers",
      registers,
    }),
  };
}

export type HealthMetrics = ReturnType<typeof healthMetrics>;
