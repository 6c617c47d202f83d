// SPDX-License-Identifier: Apache-2.0
// Figures of the agent and of its data plane. All that a frame holds is read when it is scraped, from the newest frame.

import { Histogram, labelText, type Registry, readCounter, readGauge } from "../common/metrics.js";
import { type Field, layout } from "../common/native/frame.js";
import { LADDER_STEPS, ladderWord, wireMode } from "../common/vocabulary.js";
import type { Agent } from "./agent.js";
import { dataplaneMetrics } from "./dataplane-metrics.js";
import type { Took } from "./effects.js";
import { labelsIn, type ServerRow, serverRows, sumOf } from "./server-rows.js";
import { serverState } from "./stats.js";
import type { Vip } from "./vip.js";

type Figures = Pick<Agent, "vips" | "peerStates" | "attachment" | "errors">;

export function agentMetrics(registry: Registry, agent: Figures) {
  serverMetrics(registry, agent);
  vipMetrics(registry, agent);
  vipStates(registry, agent);
  tickMetrics(registry, agent);
  attachmentMetrics(registry, agent);
  dataplaneMetrics(registry, () => {
    const { region } = agent.attachment;
    return region && { pid: region.dpPid, dpEpoch: region.dpEpoch, name: region.dataplane };
  });
  const effect = new Histogram({
    name: "marllb_effect_seconds",
    help: "Frame summed to weights in effect at every worker",
    labelNames: ["vip"],
    buckets: [0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2],
    registers: [registry],
  });
  return {
    took: (vip: string, { ms, trace }: Took, unixMs: number): void =>
      effect.observe({ vip }, ms / 1000, trace ? { traceId: trace.traceId, unixMs } : undefined),
    gone: (vip: string): void => effect.remove({ vip }),
  };
}

const exported = (fields: readonly Field[], role: Field["role"]): Field[] =>
  fields.filter((f) => f.role === role && f.metric !== "");

/** The fields of a server, summed over the records of its address. */
function serverMetrics(registry: Registry, agent: Figures): void {
  const labels = ["vip", "server"] as const;
  const perServer = (each: (labels: string, value: number) => void, valuesOf: (vip: Vip) => (row: ServerRow) => number): void => {
    for (const vip of agent.vips()) {
      const value = valuesOf(vip);
      for (const row of serverRows(vip)) each(row.labels, value(row));
    }
  };
  for (const { name, metric, help } of exported(layout.serverFields, "counter")) {
    readCounter(registry, `marllb_server_${metric}`, help, labels, (each) => perServer(each, (vip) => sumOf(vip, name)));
  }
  for (const { name, metric, help, unit } of exported(layout.serverFields, "gauge")) {
    // Flows add up over the records of an address; a weight is its member's.
    const valuesOf = (vip: Vip): ((row: ServerRow) => number) => {
      if (unit === "flows") return sumOf(vip, name);
      const column = vip.view.column(name);
      return ({ member }) => column[member] as number;
    };
    readGauge(registry, `marllb_server_${metric}`, help, labels, (each) => perServer(each, valuesOf));
  }
  const state = "1 for the state that a server is in at this load balancer: up, draining, ejected, guarded, masked, leaving";
  readGauge(registry, "marllb_server_state", state, ["vip", "server", "state"], (say) => {
    for (const vip of agent.vips()) {
      const { view } = vip;
      const factor = view.column("factor");
      const { flags } = view;
      for (const row of serverRows(vip))
        say(labelsIn(row, serverState(flags[row.member] as number, factor[row.member] as number)), 1);
    }
  });
}

/** The fields of a VIP's frame, and what the data plane refused. */
function vipMetrics(registry: Registry, agent: Figures): void {
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
}

const SOURCES = ["override", "push", "fallback", "inference", "static"] as const;

/** What a VIP is set to, and what sets its weights. */
function vipStates(registry: Registry, agent: Figures): void {
  const info = "1; what a VIP is and how new flows find their server";
  readGauge(registry, "marllb_vip_info", info, ["vip", "address", "protocol", "policy", "mode", "pool"], (say) => {
    for (const { name, view, policy } of agent.vips()) {
      const mode = wireMode.word(wireMode.label(view.mode));
      say(
        { vip: name, address: view.address, protocol: view.protocol, policy, mode, pool: view.managed ? "managed" : "local" },
        1,
      );
    }
  });
  readGauge(registry, "marllb_vip_servers", "Servers in a VIP's list, those that are leaving among them", ["vip"], (say) => {
    for (const { name, view } of agent.vips()) say({ vip: name }, view.count);
  });
  const override = "1 while weights of an operator's are in force (marllbctl override)";
  readGauge(registry, "marllb_vip_override", override, ["vip"], (say) => {
    for (const { name, directive } of agent.vips()) say({ vip: name }, directive.override ? 1 : 0);
  });
  readGauge(registry, "marllb_vip_source", "1 for what set the last weights", ["vip", "source"], (say) => {
    for (const vip of agent.vips()) for (const s of SOURCES) say({ vip: vip.name, source: s }, vip.source === s ? 1 : 0);
  });
  readGauge(registry, "marllb_ladder", "1 for the step that the weights in effect came from", ["vip", "step"], (each) => {
    for (const vip of agent.vips()) {
      for (const s of LADDER_STEPS) each({ vip: vip.name, step: ladderWord(s) }, vip.view.ladder === s ? 1 : 0);
    }
  });
}

function tickMetrics(registry: Registry, agent: Figures): void {
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
    for (const vip of agent.vips()) {
      const { refused: counts } = vip.counters;
      for (const reason of new Set([...Object.keys(vip.view.refused), ...counts.keys()]))
        each({ vip: vip.name, reason }, counts.get(reason) ?? 0);
    }
  });
}

function attachmentMetrics(registry: Registry, agent: Figures): void {
  readCounter(registry, "marllb_agent_peer_reconnects_total", "Streams to a peer that broke", ["peer"], (each) => {
    const sums = new Map<string, number>();
    for (const p of agent.peerStates()) sums.set(p.name, (sums.get(p.name) ?? 0) + p.reconnects);
    for (const [peer, n] of sums) each({ peer }, n);
  });
  const connected = "1 while the agent has a stream to this replica of a peer";
  readGauge(registry, "marllb_agent_peer_connected", connected, ["peer", "address"], (each) => {
    const said = new Set<string>();
    for (const p of agent.peerStates()) {
      const labels = labelText({ peer: p.name, address: p.address });
      if (!said.has(labels)) each(labels, p.state === "ready" ? 1 : 0);
      said.add(labels);
    }
  });
  readGauge(registry, "marllb_agent_attached", "1 while attached to a data plane that lives", [], (each) =>
    each({}, agent.attachment.region ? 1 : 0),
  );
  readCounter(registry, "marllb_agent_errors_total", "Errors in a tick that the loop outlived", [], (each) =>
    each({}, agent.errors),
  );
}
