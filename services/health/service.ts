// SPDX-License-Identifier: Apache-2.0
// marllb.v1.Health: frames in, verdicts out.
import type * as grpc from "@grpc/grpc-js";
import type { HealthHandlers } from "../../gen/marllb/v1/Health.js";
import type { ReportRequest__Output } from "../../gen/marllb/v1/ReportRequest.js";
import type { Verdict as VerdictMessage } from "../../gen/marllb/v1/Verdict.js";
import type { WatchRequest__Output } from "../../gen/marllb/v1/WatchRequest.js";
import type { WatchResponse } from "../../gen/marllb/v1/WatchResponse.js";
import { parseHostPort } from "../common/config/address.js";
import { invalid, unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import { Counter, Gauge, Histogram } from "../common/metrics.js";
import { decodeFrame } from "../common/native.js";
import type { CreateService } from "../common/run.js";
import { childSpan } from "../common/telemetry.js";
import { Checker } from "./checker.js";
import { type ProbeKind, probe } from "./probe.js";
import { type Change, HealthRegistry } from "./registry.js";

const SNAPSHOT_MS = 10_000;
const TICK_MS = 500;

export const create: CreateService = ({ config, log, registry: metrics, clock }) => {
  const rules = {
    rise: config.health.rise,
    fall: config.health.fall,
    passiveFailures: config.health.passive_failures,
    active: config.health.kind !== "none",
  };
  const watchers = new Map<grpc.ServerWritableStream<WatchRequest__Output, WatchResponse>, string>();
  const toUnix = (monotonic: number): number => Math.round(clock.unixMs() - (clock.now() - monotonic));

  const frames = new Counter({ name: "marllb_health_frames_total", help: "Frames received", registers: [metrics] });
  const refused = new Counter({
    name: "marllb_health_frames_refused_total",
    help: "Frames that could not be read",
    registers: [metrics],
  });
  const turns = new Counter({
    name: "marllb_health_transitions_total",
    help: "Verdicts that changed, by the new state",
    labelNames: ["state"],
    registers: [metrics],
  });
  const seconds = new Histogram({
    name: "marllb_health_check_seconds",
    help: "Time that good checks took",
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1],
    registers: [metrics],
  });
  new Gauge({
    name: "marllb_health_servers",
    help: "Servers by verdict",
    labelNames: ["state"],
    registers: [metrics],
    collect() {
      this.reset();
      for (const c of servers.all(clock.now())) this.inc({ state: c.verdict.state.toLowerCase() });
    },
  });

  const message = ({ target, verdict }: Change): VerdictMessage => ({
    instance: target.instance,
    vip_id: target.vipId,
    dp_epoch: target.dpEpoch.toString(),
    server_id: target.serverId,
    address: target.address,
    state: `HEALTH_STATE_${verdict.state}`,
    reason: verdict.reason,
    since_unix_ms: toUnix(verdict.since),
    rtt_ms: verdict.rttMs,
  });
  const publish = (changes: Change[], snapshot: boolean): void => {
    for (const [stream, instance] of watchers) {
      const mine = instance === "" ? changes : changes.filter((c) => c.target.instance === instance);
      if (mine.length > 0 || snapshot) stream.write({ verdicts: mine.map(message), snapshot });
    }
  };

  const unmade = new Counter({
    name: "marllb_health_checks_unmade_total",
    help: "Checks that could not be made here; they say nothing of the servers",
    registers: [metrics],
  });
  let lastUnmade = "";
  const servers = new HealthRegistry(
    rules,
    (changes, joined) => {
      const [first] = changes as [Change, ...Change[]];
      if (joined) {
        const { instance, vipId: vip } = first.target;
        log.info({ instance, vip, servers: changes.length }, "servers joined");
      } else {
        // One address, as many load balancers as have it.
        const { state, reason } = first.verdict;
        const vips = changes.map(({ target }) => `${target.instance}/${target.vipId}`);
        log.info({ server: first.target.address, vips, state, reason }, "verdict");
        turns.inc({ state: state.toLowerCase() }, changes.length);
      }
      publish(changes, false);
    },
    (address, added) => {
      if (!rules.active) return;
      if (added) checker.add(address);
      else checker.remove(address);
    },
  );
  const checker = new Checker({
    intervalMs: config.health.interval_ms,
    jitter: config.health.jitter,
    random: Math.random,
    check: (address) =>
      probe(
        { kind: config.health.kind as ProbeKind, address, timeoutMs: config.health.timeout_ms, path: config.health.path },
        clock.now,
      ),
    onResult(address, result) {
      if (result.local) {
        unmade.inc();
        if (result.reason !== lastUnmade) log.error({ server: address, reason: result.reason }, "check could not be made");
        lastUnmade = result.reason;
      }
      if (result.ok) seconds.observe(result.rttMs / 1000);
      servers.checked(address, result, clock.now());
    },
  });
  const ticker = setInterval(() => servers.tick(clock.now()), TICK_MS);
  const snapshots = setInterval(() => publish(servers.all(clock.now()), true), SNAPSHOT_MS);

  const report = (request: ReportRequest__Output): boolean => {
    frames.inc();
    const span = childSpan("health.frame", request.frame?.trace);
    try {
      if (!request.frame) throw invalid("frame", "is missing");
      servers.frame(request.frame.instance, decodeFrame(request.frame), clock.now());
      return true;
    } catch (e) {
      refused.inc();
      log.debug({ err: e }, "frame refused");
      return false;
    } finally {
      span?.end();
    }
  };

  const implementation: HealthHandlers = {
    Check: unary(async (r) => {
      if (parseHostPort(r.address) === null) throw invalid("address", `expected HOST:PORT, found "${r.address}"`);
      const kind = r.kind || (config.health.kind === "none" ? "tcp" : config.health.kind);
      if (kind !== "tcp" && kind !== "http" && kind !== "ping")
        throw invalid("kind", `expected tcp, http or ping, found "${r.kind}"`);
      if (r.timeout_ms > 60_000) throw invalid("timeout_ms", `expected at most 60000, found ${r.timeout_ms}`);
      if (r.path !== "" && !/^\/[\x21-\x7e]*$/.test(r.path)) throw invalid("path", "expected a path that begins with /");
      const result = await probe(
        { kind, address: r.address, timeoutMs: r.timeout_ms || config.health.timeout_ms, path: r.path || config.health.path },
        clock.now,
      );
      const state = result.ok ? "UP" : result.local ? "UNKNOWN" : "DOWN";
      return { state: `HEALTH_STATE_${state}` as const, reason: result.reason, rtt_ms: result.rttMs };
    }),

    Watch(call) {
      const { instance } = call.request;
      watchers.set(call, instance);
      const end = (): void => void watchers.delete(call);
      call.on("cancelled", end).on("close", end).on("error", end);
      const all = servers.all(clock.now()).filter((c) => instance === "" || c.target.instance === instance);
      call.write({ verdicts: all.map(message), snapshot: true });
    },

    Report(call, callback) {
      let good = 0;
      let bad = 0;
      call.on("data", (r: ReportRequest__Output) => {
        if (report(r)) good++;
        else bad++;
      });
      call.on("error", () => {});
      call.on("end", () => callback(null, { frames: good, refused: bad }));
    },
  };

  return {
    name: "marllb.v1.Health",
    definition: v1.Health.service,
    implementation: implementation as unknown as grpc.UntypedServiceImplementation,
    async stop() {
      clearInterval(ticker);
      clearInterval(snapshots);
      checker.stop();
      for (const stream of watchers.keys()) stream.end();
    },
  };
};
