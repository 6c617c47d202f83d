// SPDX-License-Identifier: Apache-2.0
// The agents that are connected, one link a VIP: frames in, directives out.
import type * as grpc from "@grpc/grpc-js";
import type { Frame__Output } from "../../gen/marllb/v1/Frame.js";
import type { Roster__Output } from "../../gen/marllb/v1/Roster.js";
import type { SuperviseRequest__Output } from "../../gen/marllb/v1/SuperviseRequest.js";
import type { SuperviseResponse } from "../../gen/marllb/v1/SuperviseResponse.js";
import type { Clock } from "../common/clock.js";
import { canonicalAddress, parseHostPort } from "../common/config/address.js";
import { failStream, invalid, ServiceError, UNREAD } from "../common/grpc/errors.js";
import { birthOf, vipKey } from "../common/identity.js";
import { Instances } from "../common/instances.js";
import type { Logger } from "../common/log.js";
import { decodeFrame, memberIds } from "../common/native/frame.js";
import { Outlet, systemTimers } from "../common/stream.js";
import { TickSpans } from "../common/tick-spans.js";
import type { AgentVip } from "./agent-vip.js";
import type { FailoverCore, PoolView } from "./core.js";
import { Flows, type Latest, type LoadBalancerFlows } from "./flows.js";
import { countsOf, directiveFor } from "./messages.js";
import type { FailoverMetrics } from "./metrics.js";
import { leavingIn, maskedIn, type Seen, seenIn, serversOf } from "./seen.js";

export type Supervise = grpc.ServerDuplexStream<SuperviseRequest__Output, SuperviseResponse>;
/** The newest order of each VIP. */
type Orders = Outlet<SuperviseResponse, SuperviseResponse>;

/** Of "HOST:PORT": a name of DNS has at most 253 bytes. */
const MAX_ADDRESS = 260;
/** An order not in force after so long is said again. */
const RESEND_MS = 1000;

interface Link {
  agent: AgentVip;
  out: Orders;
  frame: Frame__Output;
  sentAt: number;
}

const linkKey = (instance: string, vipId: number): string => `${instance}/${vipId}`;

export interface SupervisionOptions {
  core: FailoverCore;
  metrics: FailoverMetrics;
  clock: Clock;
  log: Logger;
  /** Orders may be given: what is wanted is known. */
  ordering(): boolean;
  /** A data plane that was taken over ends within this time. */
  drainMs: number;
}

export class Supervision {
  private readonly links = new Map<string, Link>();
  private readonly instances = new Instances<Orders>();
  private readonly flows: Flows;
  private readonly spans: TickSpans;
  /** Where the agent of a stream takes live counts: said once, with its roster. */
  private readonly counts = new WeakMap<Orders, string>();

  constructor(private readonly o: SupervisionOptions) {
    this.flows = new Flows(o.drainMs);
    this.spans = new TickSpans(o.clock, "CONSUMER", "marllb.v1.Failover", "Supervise");
  }

  open(stream: Supervise): void {
    const out: Orders = new Outlet(stream, {
      pack: ([order]) => order as SuperviseResponse,
      batch: 1,
      timers: systemTimers(this.o.clock.now),
      onUnread: () => failStream(stream, UNREAD),
    });
    stream.on("data", (r: SuperviseRequest__Output) => {
      const begun = this.spans.begin();
      this.o.metrics.frames.inc();
      try {
        this.spans.kept(r.frame?.kept ?? []);
        this.message(out, r, stream.getPeer());
        this.spans.done(r.frame?.trace, begun);
      } catch (e) {
        this.spans.done(r.frame?.trace, begun, {}, (e as Error).message);
        this.o.metrics.refused.inc();
        if (e instanceof ServiceError && e.code === "FAILED_PRECONDITION") {
          this.o.log.error({ reason: e.message }, "load balancer refused");
          failStream(stream, e);
        } else this.o.log.debug({ err: e }, "frame refused");
      }
    });
    const end = (): void => {
      for (const [key, link] of this.links) if (link.out === out) this.links.delete(key);
      this.instances.closed(out);
      out.close();
    };
    stream.on("error", end).on("cancelled", end).on("close", end);
    stream.on("end", () => {
      end();
      stream.end();
    });
  }

  send(agent: AgentVip, view: PoolView): void {
    const link = this.links.get(linkKey(agent.instance, agent.vipId));
    if (!link || !this.o.ordering()) return;
    link.sentAt = this.o.clock.now();
    const counts = countsOf(agent, this.o.core.agentsOf(view.name));
    link.out.put([[String(agent.vipId), { directive: { ...directiveFor(agent, view), counts } }]]);
    this.o.metrics.orders.inc();
  }

  /** Says orders again that are not in force. */
  tick(now: number): void {
    const { core } = this.o;
    for (const { agent, sentAt } of this.links.values()) {
      const term = core.agentsOf(agent.pool).length > 0 ? core.find(agent.vipId, agent.pool).term : 0;
      if (agent.appliedTerm < term && now - sentAt > RESEND_MS) core.resend(agent);
    }
  }

  /** What the newest frames say of a pool's servers, by address. */
  seenOf(pool: string): Map<string, Seen> {
    return seenIn([...this.links.values()].filter((l) => l.agent.pool === pool).map((l) => decodeFrame(l.frame)));
  }

  /** What is known of flows, by load balancer. */
  flowsOf(pool: string): LoadBalancerFlows[] {
    const slots = this.o.core.agentsOf(pool).map((a) => linkKey(a.instance, a.vipId));
    return this.flows.of(pool, new Map(slots.map((slot) => [slot, this.links.has(slot)])), this.o.clock.now());
  }

  stop(): void {
    for (const link of this.links.values()) link.out.end();
  }

  private message(out: Orders, r: SuperviseRequest__Output, peer: string): void {
    if (r.roster) this.rostered(out, r.roster);
    else if (r.frame) this.supervised(out, r, r.frame, peer);
    else throw invalid("frame", "is missing");
  }

  private rostered(out: Orders, roster: Roster__Output): void {
    this.counts.set(out, roster.counts.length <= MAX_ADDRESS && parseHostPort(roster.counts) ? roster.counts : "");
    const vips = roster.gone.map((v) => ({ ...birthOf(v), vipId: v.vip_id, name: v.name }));
    for (const vip of vips) {
      const key = linkKey(roster.instance, vip.vipId);
      const link = this.links.get(key);
      if (link && vipKey(link.agent) === vipKey(vip)) this.links.delete(key);
    }
    const { core, clock } = this.o;
    core.gone(roster.instance, vips, { now: clock.now(), unixMs: clock.unixMs() });
  }

  private supervised(out: Orders, r: SuperviseRequest__Output, frame: Frame__Output, peer: string): void {
    const { core } = this.o;
    const { clock } = this.o;
    const now = clock.now();
    const instance = r.instance || frame.instance;
    try {
      this.instances.speak(instance, out, BigInt(frame.dp_epoch), now);
    } catch (e) {
      const { name: pool, dpEpoch } = decodeFrame(frame);
      this.flows.refused(peer, { pool, instance, dpEpoch, servers: () => seenIn([decodeFrame(frame)]) }, now);
      throw e;
    }
    const key = linkKey(instance, frame.vip_id);
    let agent = core.known(instance, frame.vip_id);
    const before = agent?.counts ?? "";
    const link = this.links.get(key);
    if (!agent || vipKey(agent) !== vipKey(birthOf(frame)) || agent.generation !== frame.generation || !link) {
      agent = agentOf(instance, r, frame, now);
      agent.counts = this.counts.get(out) ?? "";
      this.links.set(key, { agent, out, frame, sentAt: now });
      core.list(agent, { now, unixMs: clock.unixMs() });
    } else {
      const moved = link.out !== out;
      agent.counts = this.counts.get(out) ?? "";
      this.links.set(key, { agent, out, frame, sentAt: link.sentAt });
      if (moved) core.resend(agent);
    }
    if (agent.counts !== before) for (const other of core.agentsOf(agent.pool)) if (other !== agent) core.resend(other);
    this.flows.heard(key, latestOf(agent, frame), now);
    core.seen(agent, Number(r.applied_term), r.ladder, now);
  }
}

function agentOf(instance: string, r: SuperviseRequest__Output, frame: Frame__Output, now: number): AgentVip {
  const view = decodeFrame(frame);
  return {
    instance,
    vipId: view.vipId,
    pool: view.name,
    dpEpoch: view.dpEpoch,
    birth: view.birth,
    generation: view.generation,
    counts: "",
    managed: view.managed,
    canClose: view.figures.can_close === 1,
    leaving: leavingIn(view),
    servers: serversOf(view),
    masked: maskedIn(view),
    ids: new Map([...memberIds(view)].map(([a, id]) => [canonicalAddress(a), id])),
    seenAt: now,
    appliedTerm: Number(r.applied_term),
    ladder: r.ladder,
  };
}

const latestOf = (agent: AgentVip, frame: Frame__Output): Latest => {
  let servers: ReadonlyMap<string, Seen> | null = null;
  return {
    pool: agent.pool,
    instance: agent.instance,
    dpEpoch: agent.dpEpoch,
    servers() {
      servers ??= seenIn([decodeFrame(frame)]);
      return servers;
    },
  };
};
