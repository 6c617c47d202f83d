// SPDX-License-Identifier: Apache-2.0
// Figures of the agent and of its data plane. All that a frame holds is read when it is scraped, from the newest frame.

import { Counter, Gauge, Histogram, type Registry } from "../common/metrics.js";
import type { Field } from "../common/native/frame.js";
import { layout } from "../common/native/frame.js";
import { LADDER_STEPS, ladderWord } from "../common/vocabulary.js";
import type { Agent } from "./agent.js";
import { type ServerRow, serverRows, sumOf } from "./server-rows.js";
import type { Vip } from "./vip.js";

const exported = (fields: readonly Field[], role: Field["role"]): Field[] =>
  fields.filter((f) => f.role === role && f.metric !== "");

export function agentMetrics(registry: Registry, agent: Agent) {
  const registers = [registry];
  const vips = (): Vip[] => agent.vips();
  type Each = (labels: { vip: string; server: string }, value: number) => void;
  const perServer = (value: (vip: Vip, row: ServerRow) => number, each: Each): void => {
    for (const vip of vips()) {
      for (const row of serverRows(vip.view)) each({ vip: vip.name, server: row.address }, value(vip, row));
    }
  };
  for (const { name, metric, help } of exported(layout.serverFields, "counter")) {
    new Counter({
      name: `marllb_server_${metric}`,
      help,
      labelNames: ["vip", "server"],
      registers,
      collect() {
        this.reset();
        perServer(
          (vip, row) => sumOf(vip, row, name),
          (labels, value) => this.inc(labels, value),
        );
      },
    });
  }
  for (const { name, metric, help, unit } of exported(layout.serverFields, "gauge")) {
    new Gauge({
      name: `marllb_server_${metric}`,
      help,
      labelNames: ["vip", "server"],
      registers,
      collect() {
        this.reset();
        // Flows add up over the records of an address; a weight is its member's.
        const of = (vip: Vip, row: ServerRow): number =>
          unit === "flows" ? sumOf(vip, row, name) : (vip.view.column(name)[row.member] as number);
        perServer(of, (labels, value) => this.set(labels, value));
      },
    });
  }
  for (const { name, metric, help } of exported(layout.frameFields, "counter")) {
    new Counter({
      name: `marllb_vip_${metric}`,
      help,
      labelNames: ["vip"],
      registers,
      collect() {
        this.reset();
        for (const vip of vips()) this.inc({ vip: vip.name }, vip.view.figures[name] ?? 0);
      },
    });
  }
  for (const { name, metric, help } of exported(layout.frameFields, "gauge")) {
    new Gauge({
      name: `marllb_vip_${metric}`,
      help,
      labelNames: ["vip"],
      registers,
      collect() {
        this.reset();
        for (const vip of vips()) this.set({ vip: vip.name }, vip.view.figures[name] ?? 0);
      },
    });
  }
  new Counter({
    name: "marllb_dataplane_refused_total",
    help: "Weight vectors that the data plane refused, by reason",
    labelNames: ["vip", "reason"],
    registers,
    collect() {
      this.reset();
      for (const vip of vips()) {
        for (const [reason, n] of Object.entries(vip.view.refused)) this.inc({ vip: vip.name, reason }, n);
      }
    },
  });
  new Gauge({
    name: "marllb_ladder",
    help: "1 for the step that the weights in effect came from",
    labelNames: ["vip", "step"],
    registers,
    collect() {
      this.reset();
      for (const vip of vips()) {
        for (const s of LADDER_STEPS) {
          this.set({ vip: vip.name, step: ladderWord(s) }, vip.view.ladder === s ? 1 : 0);
        }
      }
    },
  });
  const tickCounters: [name: string, help: string, value: (v: Vip) => number][] = [
    ["answered_total", "Ticks answered by inference", (v) => v.counters.answered],
    [
      "unanswered_total",
      "Ticks without an answer; one that was refused is counted by refused_total",
      (v) => v.counters.unanswered,
    ],
    ["late_total", "Answers dropped: too late, or of another server list", (v) => v.counters.late],
    ["published_total", "Vectors published", (v) => v.counters.published],
    ["terms_refused_total", "Directives refused: an older term", (v) => v.counters.termsRefused],
  ];
  for (const [name, help, value] of tickCounters) {
    new Counter({
      name: `marllb_agent_${name}`,
      help,
      labelNames: ["vip"],
      registers,
      collect() {
        this.reset();
        for (const vip of vips()) this.inc({ vip: vip.name }, value(vip));
      },
    });
  }
  new Counter({
    name: "marllb_agent_refused_total",
    help: "Vectors that the envelope refused, by reason",
    labelNames: ["vip", "reason"],
    registers,
    collect() {
      this.reset();
      for (const vip of vips()) for (const [reason, n] of vip.counters.refused) this.inc({ vip: vip.name, reason }, n);
    },
  });
  new Counter({
    name: "marllb_agent_peer_reconnects_total",
    help: "Streams to a peer that broke",
    labelNames: ["peer"],
    registers,
    collect() {
      this.reset();
      for (const p of agent.peerStates()) this.inc({ peer: p.name }, p.reconnects);
    },
  });
  new Gauge({
    name: "marllb_agent_attached",
    help: "1 while attached to a data plane that lives",
    registers,
    collect() {
      this.set(agent.attachment.region ? 1 : 0);
    },
  });
  new Counter({
    name: "marllb_agent_errors_total",
    help: "Errors in a tick that the loop outlived",
    registers,
    collect() {
      this.reset();
      this.inc(agent.errors);
    },
  });
  return {
    effect: new Histogram({
      name: "marllb_effect_seconds",
      help: "Frame summed to weights in effect at every worker",
      labelNames: ["vip"],
      buckets: [0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2],
      registers,
    }),
  };
}
