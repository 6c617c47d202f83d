// SPDX-License-Identifier: Apache-2.0
// Figures of the agent and of its data plane. All that a frame holds is read when it is scraped, from the newest frame.

import { Histogram, type Registry, readCounter, readGauge } from "../common/metrics.js";
import { type Field, layout } from "../common/native/frame.js";
import { LADDER_STEPS, ladderWord } from "../common/vocabulary.js";
import type { Agent } from "./agent.js";
import { type ServerRow, serverRows, sumOf } from "./server-rows.js";
import type { Vip } from "./vip.js";

export function agentMetrics(registry: Registry, agent: Agent) {
  serverMetrics(registry, agent);
  vipMetrics(registry, agent);
  tickMetrics(registry, agent);
  attachmentMetrics(registry, agent);
  return {
    effect: new Histogram({
      name: "marllb_effect_seconds",
      help: "Frame summed to weights in effect at every worker",
      labelNames: ["vip"],
      buckets: [0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2],
      registers: [registry],
    }),
  };
}

const exported = (fields: readonly Field[], role: Field["role"]): Field[] =>
  fields.filter((f) => f.role === role && f.metric !== "");

/** The fields of a server, summed over the records of its address. */
function serverMetrics(registry: Registry, agent: Agent): void {
  const labels = ["vip", "server"] as const;
  type Each = (labels: { vip: string; server: string }, value: number) => void;
  const perServer = (each: Each, value: (vip: Vip, row: ServerRow) => number): void => {
    for (const vip of agent.vips()) {
      for (const row of serverRows(vip.view)) each({ vip: vip.name, server: row.address }, value(vip, row));
    }
  };
  for (const { name, metric, help } of exported(layout.serverFields, "counter")) {
    readCounter(registry, `marllb_server_${metric}`, help, labels, (each) =>
      perServer(each, (vip, row) => sumOf(vip, row, name)),
    );
  }
  for (const { name, metric, help, unit } of exported(layout.serverFields, "gauge")) {
    // Flows add up over the records of an address; a weight is its member's.
    const of = (vip: Vip, row: ServerRow): number =>
      unit === "flows" ? sumOf(vip, row, name) : (vip.view.column(name)[row.member] as number);
    readGauge(registry, `marllb_server_${metric}`, help, labels, (each) => perServer(each, of));
  }
}

/** The fields of a VIP's frame, what the data plane refused, and the ladder. */
function vipMetrics(registry: Registry, agent: Agent): void {
  for (const role of ["counter", "gauge"] as const) {
    const register = role === "counter" ? readCounter : readGauge;
    for (const { name, metric, help } of exported(layout.frameFields, role)) {
      register(registry, `marllb_vip_${metric}`, help, ["vip"], (each) => {
        for (const vip of agent.vips()) each({ vip: vip.name }, vip.view.figures[name] ?? 0);
      });
    }
  }
  const refused = "Weight vectors that the data plane refused, by reason";
  readCounter(registry, "marllb_dataplane_refused_total", refused, ["vip", "reason"], (each) => {
    for (const vip of agent.vips()) {
      for (const [reason, n] of Object.entries(vip.view.refused)) each({ vip: vip.name, reason }, n);
    }
  });
  readGauge(registry, "marllb_ladder", "1 for the step that the weights in effect came from", ["vip", "step"], (each) => {
    for (const vip of agent.vips()) {
      for (const s of LADDER_STEPS) each({ vip: vip.name, step: ladderWord(s) }, vip.view.ladder === s ? 1 : 0);
    }
  });
}

function tickMetrics(registry: Registry, agent: Agent): void {
  const counters: [name: string, help: string, value: (v: Vip) => number][] = [
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
  for (const [name, help, value] of counters) {
    readCounter(registry, `marllb_agent_${name}`, help, ["vip"], (each) => {
      for (const vip of agent.vips()) each({ vip: vip.name }, value(vip));
    });
  }
  const refused = "Vectors that the envelope refused, by reason";
  readCounter(registry, "marllb_agent_refused_total", refused, ["vip", "reason"], (each) => {
    for (const vip of agent.vips()) for (const [reason, n] of vip.counters.refused) each({ vip: vip.name, reason }, n);
  });
}

function attachmentMetrics(registry: Registry, agent: Agent): void {
  readCounter(registry, "marllb_agent_peer_reconnects_total", "Streams to a peer that broke", ["peer"], (each) => {
    for (const p of agent.peerStates()) each({ peer: p.name }, p.reconnects);
  });
  readGauge(registry, "marllb_agent_attached", "1 while attached to a data plane that lives", [], (each) =>
    each({}, agent.attachment.region ? 1 : 0),
  );
  readCounter(registry, "marllb_agent_errors_total", "Errors in a tick that the loop outlived", [], (each) =>
    each({}, agent.errors),
  );
}
