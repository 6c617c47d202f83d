// SPDX-License-Identifier: Apache-2.0
// marllb.v1.Health: frames in, verdicts out.
import type * as grpc from "@grpc/grpc-js";
import type { HealthHandlers } from "../../gen/marllb/v1/Health.js";
import type { ReportRequest__Output } from "../../gen/marllb/v1/ReportRequest.js";
import type { ReportResponse } from "../../gen/marllb/v1/ReportResponse.js";
import type { Roster__Output } from "../../gen/marllb/v1/Roster.js";
import type { VipChecks__Output } from "../../gen/marllb/v1/VipChecks.js";
import { findCheck } from "../common/checks/index.js";
import type { PlannedCheck } from "../common/checks/plan.js";
import { PROXY_VERSIONS, type ProxyVersion } from "../common/checks/proxy.js";
import type { Config } from "../common/config/load.js";
import { invalid, ServiceError, toStatus, unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import { birthOf } from "../common/identity.js";
import { Instances } from "../common/instances.js";
import { decodeFrame } from "../common/native/frame.js";
import type { CreateService, Service, ServiceContext } from "../common/run.js";
import { TickSpans } from "../common/tick-spans.js";
import { ByHand } from "./by-hand.js";
import { Checker } from "./checker.js";
import { Demands, levelOf, type VipDemand } from "./demands.js";
import { type HealthMetrics, healthMetrics } from "./metrics.js";
import { PACE_MS, Pace } from "./pace.js";
import { type ProbeClock, probe } from "./probe.js";
import { type Change, HealthRegistry, SILENCE_MS } from "./registry.js";
import type { CheckResult } from "./verdict.js";
import { Watchers } from "./watchers.js";
import { Wheel } from "./wheel.js";

const SNAPSHOT_MS = 10_000;
const TICK_MS = 500;
/** Frames come ten times a second. */
const FRAMELESS_MS = 2000;

type Report = grpc.ServerReadableStream<ReportRequest__Output, ReportResponse>;
class HealthService {
  /** By the call of Report that brings its frames. */
  private readonly instances = new Instances<object>();
  private readonly demands: Demands;
  private readonly servers: HealthRegistry;
  private readonly watchers: Watchers;
  private readonly spans: TickSpans;
  private readonly checker: Checker;
  private readonly byHand: ByHand;
  private readonly metrics: HealthMetrics;
  private readonly clock: ProbeClock;
  private readonly timers: NodeJS.Timeout[];
  private lastUnmade = "";
  /** When the last frame came. */
  private frameAt = Number.NEGATIVE_INFINITY;
  private config: Pick<Config, "health" | "vips">;

  constructor(private readonly context: ServiceContext) {
    const { clock, registry, config } = context;
    this.config = config;
    const pace = new Pace(clock.now);
    this.clock = { now: clock.now, still: () => pace.still(), wheel: new Wheel(clock.now) };
    this.demands = new Demands(config);
    this.checker = new Checker({
      wheel: this.clock.wheel,
      check: (c, end) => this.probe(c, end),
      onResult: (c, result) => this.checked(c, result),
      onStart: (late) => this.metrics.late.observe(undefined, late / 1000),
      now: clock.now,
      random: Math.random,
    });
    this.servers = new HealthRegistry(
      (vip, server) => this.demands.planFor(vip, server),
      {
        changed: (changes, joined) => this.changed(changes, joined),
        check: (c, needed) => (needed ? this.checker.add(c) : this.checker.remove(c.key)),
        ejected: (capped) => this.metrics.ejections.inc({ done: capped ? "no" : "yes" }),
      },
      Math.max(SILENCE_MS, 4 * config.tick_ms),
    );
    this.byHand = new ByHand({ known: (a) => this.servers.has(a), probe: (c, end) => this.probe(c, end), now: clock.now });
    this.watchers = new Watchers(this.servers, clock);
    this.spans = new TickSpans(clock, "CONSUMER", "marllb.v1.Health", "Report");
    this.metrics = healthMetrics(registry, {
      states: () => this.servers.verdicts(),
      servers: () => this.servers.all(),
      checks: () => this.checker.size,
    });
    this.timers = [
      setInterval(() => pace.beat(), PACE_MS),
      setInterval(() => this.servers.tick(clock.now()), TICK_MS),
      setInterval(() => this.watchers.tellAll(), SNAPSHOT_MS),
    ];
  }

  private probe(c: PlannedCheck, end: (r: CheckResult) => void): () => void {
    const { address, timeoutMs, options } = c;
    return probe({ check: findCheck(c.kind), address, timeoutMs, options }, this.clock, end);
  }

  /** Verdicts stay; the next check of each address is made by the new settings. */
  private reload(config: Config): void {
    this.config = config;
    this.demands.reload(config);
    this.servers.replan(this.context.clock.now());
  }

  service(): Service {
    const implementation: HealthHandlers = {
      Check: unary((r) => this.byHand.check(r, this.config)),
      Watch: (call) => this.watchers.add(call),
      Report: (call, callback) => this.reported(call, callback),
    };
    return {
      name: "marllb.v1.Health",
      definition: v1.Health.service,
      implementation,
      whyNotReady: () => this.whyNotReady(),
      reload: { keys: ["health", "vips"], apply: (config) => this.reload(config) },
      stop: async () => {
        for (const t of this.timers) clearInterval(t);
        this.checker.stop();
        this.watchers.end();
      },
    };
  }

  private whyNotReady(): string | null {
    if (this.context.clock.now() - this.frameAt < FRAMELESS_MS) return null;
    return "no load balancer sends frames: it is not known which servers to check";
  }

  private checked(check: PlannedCheck, result: CheckResult): void {
    if (result.local) {
      this.metrics.unmade.inc();
      if (result.reason !== this.lastUnmade)
        this.context.log.warn({ server: check.address, reason: result.reason }, "a check is void: it says nothing of the server");
      this.lastUnmade = result.reason;
    }
    if (result.ok) this.metrics.seconds.observe(undefined, result.rttMs / 1000);
    this.servers.checked(check.key, result, this.context.clock.now());
  }

  private changed(changes: Change[], joined: boolean): void {
    const [first] = changes as [Change, ...Change[]];
    if (joined) {
      const { instance: loadBalancer, vipId: vip } = first.target;
      this.context.log.info({ load_balancer: loadBalancer, vip, servers: changes.length }, "servers joined");
    } else {
      // One address, as many load balancers as have it.
      const { state, reason } = first.verdict;
      const vips = changes.map(({ target }) => `${target.instance}/${target.vipId}`);
      this.context.log.info({ server: first.target.address, vips, state, reason }, "verdict");
      this.metrics.transitions.inc({ state: state.toLowerCase() }, changes.length);
    }
    this.watchers.tell(changes);
  }

  private reported(call: Report, callback: grpc.sendUnaryData<ReportResponse>): void {
    const counts = { frames: 0, refused: 0 };
    let ended = false;
    const end = (): void => this.instances.closed(call);
    call.on("data", (r: ReportRequest__Output) => {
      if (ended) return;
      try {
        if (r.frame) this.instances.speak(r.frame.instance, call, BigInt(r.frame.dp_epoch), this.context.clock.now());
      } catch (e) {
        ended = true;
        if (e instanceof ServiceError) this.context.log.error({ reason: e.message }, "load balancer refused");
        callback(toStatus(e));
        return;
      }
      counts[this.report(r) ? "frames" : "refused"]++;
    });
    call.on("error", end).on("cancelled", end).on("close", end);
    call.on("end", () => {
      end();
      if (!ended) callback(null, counts);
    });
  }

  private report({ frame, roster, checks }: ReportRequest__Output): boolean {
    if (roster) return this.rostered(roster, checks);
    this.metrics.frames.inc();
    const begun = this.spans.begin();
    try {
      if (!frame) throw invalid("frame", "is missing");
      this.spans.kept(frame.kept);
      this.servers.frame(frame.instance, decodeFrame(frame), this.context.clock.now());
      this.frameAt = this.context.clock.now();
      this.spans.done(frame.trace, begun);
      return true;
    } catch (e) {
      this.spans.done(frame?.trace, begun, {}, (e as Error).message);
      this.metrics.refused.inc();
      this.context.log.debug({ err: e }, "frame refused");
      return false;
    }
  }

  private rostered(roster: Roster__Output, checks: readonly VipChecks__Output[]): boolean {
    const { instance } = roster;
    this.servers.roster(instance, BigInt(roster.dp_epoch), roster.vips.map(birthOf));
    try {
      const said = checks.map((c, i) => ({ ...birthOf(c), demand: demandOf(c, `checks[${i}]`) }));
      this.servers.demand(instance, said, this.context.clock.now());
      return true;
    } catch (e) {
      this.metrics.refused.inc();
      this.context.log.warn({ load_balancer: instance, reason: (e as Error).message }, "a load balancer's checks are refused");
      return false;
    }
  }
}

function demandOf(c: VipChecks__Output, field: string): VipDemand {
  const servers = c.servers.map((s, i) => {
    const at = `${field}.servers[${i}]`;
    return [s.address, { level: levelOf(`${at}.health`, s.health), sends: sendsOf(`${at}.send_proxy`, s.send_proxy) }] as const;
  });
  const demand = { level: levelOf(`${field}.health`, c.health), sends: sendsOf(`${field}.send_proxy`, c.send_proxy) };
  return { ...demand, servers: new Map(servers), key: JSON.stringify([demand, servers]) };
}

function sendsOf(field: string, text: string): ProxyVersion {
  const found = PROXY_VERSIONS.find((v) => v === (text || "off"));
  if (!found) throw invalid(field, `expected one of ${PROXY_VERSIONS.join(", ")}, found "${text}"`);
  return found;
}

export const create: CreateService = (context) => new HealthService(context).service();
