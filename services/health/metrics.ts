// SPDX-License-Identifier: Apache-2.0
import { Counter, Gauge, Histogram, type Registry } from "../common/metrics.js";
import type { Verdict } from "./verdict.js";

/** Looked at in the moment of a scrape. */
export interface HealthFigures {
  /** The verdict of each server that is judged. */
  states(): Iterable<Verdict>;
  /** Checks that run. */
  checks(): number;
}

export function healthMetrics(registry: Registry, figures: HealthFigures) {
  const registers = [registry];
  new Gauge({
    name: "marllb_health_servers",
    help: "Servers by verdict; one that several load balancers have counts once",
    labelNames: ["state"],
    registers,
    collect() {
      this.reset();
      for (const { state } of figures.states()) this.inc({ state: state.toLowerCase() });
    },
  });
  new Gauge({
    name: "marllb_health_checks",
    help: "Checks that run; several servers and VIPs may share one",
    registers,
    collect() {
      this.set(figures.checks());
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
    }),
    unmade: new Counter({
      name: "marllb_health_checks_unmade_total",
      help: "Checks that could not be made here; they say nothing of the servers",
      registers,
    }),
  };
}

export type HealthMetrics = ReturnType<typeof healthMetrics>;
