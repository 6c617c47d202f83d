// SPDX-License-Identifier: Apache-2.0
// marllb.v1.Health: frames in, verdicts out.
import type * as grpc from "@grpc/grpc-js";
import { z } from "zod";
import type { CheckRequest__Output } from "../../gen/marllb/v1/CheckRequest.js";
import type { CheckResponse } from "../../gen/marllb/v1/CheckResponse.js";
import type { HealthHandlers } from "../../gen/marllb/v1/Health.js";
import type { ReportRequest__Output } from "../../gen/marllb/v1/ReportRequest.js";
import type { ReportResponse } from "../../gen/marllb/v1/ReportResponse.js";
import type { Verdict as VerdictMessage } from "../../gen/marllb/v1/Verdict.js";
import type { WatchRequest__Output } from "../../gen/marllb/v1/WatchRequest.js";
import type { WatchResponse } from "../../gen/marllb/v1/WatchResponse.js";
import { ACTIVE_KINDS, findCheck } from "../common/checks/index.js";
import { type SendProxy, sentTo } from "../common/checks/proxy.js";
import { parseHostPort } from "../common/config/address.js";
import type { Config } from "../common/config/load.js";
import { failStream, invalid, ServiceError, toStatus, UNREAD, unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import { birthOf } from "../common/identity.js";
import { Instances } from "../common/instances.js";
import { decodeFrame, type Protocol } from "../common/native/frame.js";
import type { CreateService, Service, ServiceContext } from "../common/run.js";
import { Outlet, systemTimers } from "../common/stream.js";
import { childSpan } from "../common/telemetry.js";
import { Checker } from "./checker.js";
import { type HealthMetrics, healthMetrics } from "./metrics.js";
import { PACE_MS, Pace } from "./pace.js";
import { type ProbeClock, probe } from "./probe.js";
import { type Change, HealthRegistry, type Service as Server, SILENCE_MS } from "./registry.js";
import type { CheckResult, VerdictRules } from "./verdict.js";

const SNAPSHOT_MS = 10_000;
const TICK_MS = 500;
/** Frames come ten times a second. */
const FRAMELESS_MS = 2000;
const LONGEST_CHECK_MS = 60_000;

/** A verdict is some 80 bytes, a message at most 1 MiB. */
const PART = 1000;

type Report = grpc.ServerReadableStream<ReportRequest__Output, ReportResponse>;
type WatchCall = grpc.ServerWritableStream<WatchRequest__Output, WatchResponse>;

interface Watcher {
  /** Whose servers it asked for; "" = all. */
  instance: string;
  /** null: all that was known is said. */
  out: Outlet<Change | null, WatchResponse>;
}

const keyOf = ({ target: t }: Change): string => `${t.instance}/${t.vipId}/${t.dpEpoch}/${t.serverId}`;

class HealthService {
  private readonly watchers = new Set<Watcher>();
  /** By the call of Report that brings its frames. */
  private readonly instances = new Instances<object>();
  private readonly servers: HealthRegistry;
  private checkers: Record<Protocol, Checker>;
  private readonly metrics: HealthMetrics;
  private readonly clock: ProbeClock;
  private readonly timers: NodeJS.Timeout[];
  private lastUnmade = "";
  private frameAt = Number.NEGATIVE_INFINITY;
  private health: Config["health"];
  private vips: Config["vips"];

  constructor(private readonly context: ServiceContext) {
    const { clock, registry } = context;
    this.health = context.config.health;
    this.vips = context.config.vips;
    const pace = new Pace(clock.now);
    this.clock = { now: clock.now, still: () => pace.still() };
    this.checkers = this.newCheckers();
    this.servers = new HealthRegistry(
      this.rules(),
      (changes, joined) => this.changed(changes, joined),
      ({ address, protocol }, added) => {
        if (added) this.checkers[protocol].add(address);
        else this.checkers[protocol].remove(address);
      },
      Math.max(SILENCE_MS, 4 * context.config.tick_ms),
    );
    this.metrics = healthMetrics(registry, () => this.servers.all(clock.now()).map((c) => c.verdict.state));
    this.timers = [
      setInterval(() => pace.beat(), PACE_MS),
      setInterval(() => this.servers.tick(clock.now()), TICK_MS),
      setInterval(() => this.publish(this.servers.all(clock.now()), true), SNAPSHOT_MS),
    ];
  }

  private rules(): Record<Protocol, VerdictRules> {
    const { rise, fall, passive_failures, kind, udp_kind } = this.health;
    const by = (k: string): VerdictRules => ({
      rise,
      fall,
      passiveFailures: passive_failures,
      active: findCheck(k).run !== null,
    });
    return { tcp: by(kind), udp: by(udp_kind) };
  }

  private newCheckers(): Record<Protocol, Checker> {
    return { tcp: this.newChecker(this.health.kind, "tcp"), udp: this.newChecker(this.health.udp_kind, "udp") };
  }

  private newChecker(kind: string, protocol: Protocol): Checker {
    const { health } = this;
    const check = findCheck(kind);
    return new Checker({
      intervalMs: health.interval_ms,
      jitter: health.jitter,
      random: Math.random,
      check:
        check.run &&
        ((address) =>
          probe({ check, address, timeoutMs: health.timeout_ms, options: this.options({ address, protocol }) }, this.clock)),
      onResult: (address, result) => this.checked({ address, protocol }, result),
    });
  }

  /** The check's keys for this server: behind `send_proxy` it takes no connection without a header. */
  private options(server: Server): Config["health"] {
    const health = this.health as Config["health"] & { send_proxy: SendProxy };
    if (health.send_proxy !== "auto") return health;
    return {
      ...health,
      send_proxy: sentTo(
        this.vips.filter((v) => v.protocol === server.protocol),
        server.address,
        this.servers.vipOf(server),
      ),
    } as Config["health"];
  }

  /** Verdicts stay; the next check of each address is made by the new settings. */
  private reload({ health, vips }: Config): void {
    this.health = health;
    this.vips = vips;
    this.servers.rules = this.rules();
    this.stopChecks();
    this.checkers = this.newCheckers();
    for (const { address, protocol } of this.servers.services()) this.checkers[protocol].add(address);
  }

  private stopChecks(): void {
    for (const checker of Object.values(this.checkers)) checker.stop();
  }

  service(): Service {
    const implementation: HealthHandlers = {
      Check: unary((r) => this.check(r)),
      Watch: (call) => this.watch(call),
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
        this.stopChecks();
        for (const watcher of this.watchers) watcher.out.end();
      },
    };
  }

  private whyNotReady(): string | null {
    if (this.context.clock.now() - this.frameAt < FRAMELESS_MS) return null;
    return "no load balancer sends frames: it is not known which servers to check";
  }

  private checked(server: Server, result: CheckResult): void {
    if (result.local) {
      this.metrics.unmade.inc();
      if (result.reason !== this.lastUnmade)
        this.context.log.error({ server: server.address, reason: result.reason }, "check could not be made");
      this.lastUnmade = result.reason;
    }
    if (result.ok) this.metrics.seconds.observe(result.rttMs / 1000);
    this.servers.checked(server, result, this.context.clock.now());
  }

  private changed(changes: Change[], joined: boolean): void {
    const [first] = changes as [Change, ...Change[]];
    if (joined) {
      const { instance, vipId: vip } = first.target;
      this.context.log.info({ instance, vip, servers: changes.length }, "servers joined");
    } else {
      // One address, as many load balancers as have it.
      const { state, reason } = first.verdict;
      const vips = changes.map(({ target }) => `${target.instance}/${target.vipId}`);
      this.context.log.info({ server: first.target.address, vips, state, reason }, "verdict");
      this.metrics.transitions.inc({ state: state.toLowerCase() }, changes.length);
    }
    this.publish(changes, false);
  }

  private publish(changes: Change[], snapshot: boolean): void {
    for (const watcher of this.watchers) this.tell(watcher, changes, snapshot);
  }

  private tell({ instance, out }: Watcher, changes: Change[], snapshot: boolean): void {
    const mine = instance === "" ? changes : changes.filter((c) => c.target.instance === instance);
    out.put(mine.map((c) => [keyOf(c), c] as const));
    if (snapshot) out.putLast("", null);
  }

  private part(items: readonly (Change | null)[]): WatchResponse {
    const verdicts = items.flatMap((c) => (c === null ? [] : [this.message(c)]));
    return { verdicts, snapshot: verdicts.length < items.length };
  }

  private message({ target, verdict }: Change): VerdictMessage {
    const { clock } = this.context;
    return {
      instance: target.instance,
      vip_id: target.vipId,
      dp_epoch: target.dpEpoch.toString(),
      server_id: target.serverId,
      address: target.address,
      vip: target.vipName,
      state: `HEALTH_STATE_${verdict.state}`,
      reason: verdict.reason,
      since_unix_ms: Math.round(clock.unixMs() - (clock.now() - verdict.since)),
      rtt_ms: verdict.rttMs,
    };
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

  private report({ frame, roster }: ReportRequest__Output): boolean {
    if (roster) {
      this.servers.roster(roster.instance, BigInt(roster.dp_epoch), roster.vips.map(birthOf));
      return true;
    }
    this.metrics.frames.inc();
    const span = childSpan("health.frame", frame?.trace);
    try {
      if (!frame) throw invalid("frame", "is missing");
      this.servers.frame(frame.instance, decodeFrame(frame), this.context.clock.now());
      this.frameAt = this.context.clock.now();
      return true;
    } catch (e) {
      this.metrics.refused.inc();
      this.context.log.debug({ err: e }, "frame refused");
      return false;
    } finally {
      span?.end();
    }
  }

  private watch(call: WatchCall): void {
    const out = new Outlet<Change | null, WatchResponse>(call, {
      pack: (items) => this.part(items),
      batch: PART,
      timers: systemTimers(this.context.clock.now),
      onUnread: () => failStream(call, UNREAD),
    });
    const watcher = { instance: call.request.instance, out };
    this.watchers.add(watcher);
    const end = (): void => {
      this.watchers.delete(watcher);
      out.close();
    };
    call.on("cancelled", end).on("close", end).on("error", end);
    this.tell(watcher, this.servers.all(this.context.clock.now()), true);
  }

  private async check(r: CheckRequest__Output): Promise<CheckResponse> {
    const { health } = this;
    if (parseHostPort(r.address) === null) throw invalid("address", `expected HOST:PORT, found "${r.address}"`);
    const configured = ACTIVE_KINDS.includes(health.kind) ? health.kind : ACTIVE_KINDS[0];
    const kind = r.kind || (configured as string);
    if (!ACTIVE_KINDS.includes(kind)) throw invalid("kind", `expected one of ${ACTIVE_KINDS.join(", ")}, found "${r.kind}"`);
    if (r.timeout_ms > LONGEST_CHECK_MS)
      throw invalid("timeout_ms", `expected at most ${LONGEST_CHECK_MS}, found ${r.timeout_ms}`);
    const check = findCheck(kind);
    const options = this.options({ address: r.address, protocol: "tcp" });
    const parsed = z.object(check.schema).safeParse(r.path === "" ? options : { ...options, path: r.path });
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw invalid(String(issue?.path[0]), issue?.message ?? "");
    }
    const timeoutMs = r.timeout_ms || health.timeout_ms;
    const result = await probe({ check, address: r.address, timeoutMs, options: parsed.data }, this.clock);
    const state = result.ok ? "UP" : result.local ? "UNKNOWN" : "DOWN";
    return { state: `HEALTH_STATE_${state}` as const, reason: result.reason, rtt_ms: result.rttMs };
  }
}

export const create: CreateService = (context) => new HealthService(context).service();
