// SPDX-License-Identifier: Apache-2.0
// The body of each service's main: the only place that reads the environment, the clock and the signals, and that exits.
import path from "node:path";
import type { ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";
import { parseArgs } from "./args.js";
import { type Clock, systemClock } from "./clock.js";
import { type HostPort, parseHostPort } from "./config/address.js";
import { type Config, ConfigError, type ServiceName } from "./config/load.js";
import { reloadCertificates } from "./grpc/certificates.js";
import { createLog, type Logger } from "./log.js";
import { createRegistry, type Registry } from "./metrics.js";
import { serveMetrics } from "./metrics-server.js";
import { traceTarget } from "./otel-settings.js";
import { type ProcessFigures, processMetrics } from "./process-metrics.js";
import { Readiness, type WhyNot } from "./readiness.js";
import { type Reloadable, Reloader } from "./reload.js";
import { projectRoot } from "./root.js";
import { ServiceManager } from "./service-manager.js";
import { Signals } from "./signals.js";

export interface ServiceContext {
  config: Config;
  log: Logger;
  registry: Registry;
  clock: Clock;
  /** Where a relative path of something kept over restarts begins. */
  stateFolder: string;
}

/** Where a service is reached. */
export interface Endpoint {
  /** The address in use, port 0 replaced by the real one. */
  address: string;
  setReady(ready: boolean): void;
  stop(): Promise<void>;
}

interface Work {
  /** Why it cannot do its work now; asked ten times a second. */
  whyNotReady: WhyNot;
  /** What takes effect at SIGHUP, beside the log's level. */
  reload?: Reloadable;
  /** Ends own streams, timers and clients. The gRPC server still runs. */
  stop(): Promise<void>;
}

/** One that serves gRPC. */
export interface Service extends Work {
  /** Full name, such as "marllb.v1.Inference". */
  name: string;
  definition: ServiceDefinition;
  implementation: UntypedServiceImplementation;
}

/** One that opens a port of its own kind. */
export interface WebService extends Work {
  protocol: "http" | "https";
  open(at: HostPort): Promise<Endpoint>;
}

export type CreateService = (context: ServiceContext) => Service | Promise<Service>;
export type CreateWebService = (context: ServiceContext) => WebService | Promise<WebService>;
type Load = () => Promise<{ create: CreateService | CreateWebService }>;

/** systemd's, where it gives one (installed, the program's own folder is read-only); else in the checkout, one an instance. */
export function stateFolder(instance: string, environment: Record<string, string | undefined>): string {
  // With several StateDirectory= it is a list.
  const [given] = (environment.STATE_DIRECTORY ?? "").split(":");
  return given || path.join(projectRoot, "build/state", instance);
}

/** How long an end waits for a slow reader of the log. */
const LAST_LINES_MS = 200;
/** How often the files of `tls` are looked at: a renewed certificate needs no signal. */
const CERTIFICATES_MS = 30_000;

export async function run(service: ServiceName, load: Load): Promise<void> {
  const signals = new Signals();
  try {
    await start(service, load, signals);
  } catch (e) {
    // One line a person can act on; a stack only for what we did not foresee.
    process.stderr.write(
      e instanceof ConfigError ? `${e.message}\n` : `marllb-${service.replace("_", "-")}: ${(e as Error).message}\n`,
    );
    process.exit(e instanceof ConfigError ? 2 : 1);
  }
}

async function start(service: ServiceName, load: Load, signals: Signals): Promise<void> {
  const manager = new ServiceManager(process.env);
  const { config, stopWithStdin } = parseArgs(service, process.argv.slice(2));
  const label = service.replace("_", "-");
  const { log, writer, lines } = createLog(label, config.instance, config.log);
  const registry = createRegistry(label, config.instance);
  const listen = parseHostPort(config.services[service].listen) as HostPort;
  const tracing = await startTracing({ service: label, instance: config.instance, port: listen.port }, config, log);
  // What is wrong with the configuration is said before all this is loaded.
  const [{ create }, { serve }, { serverCredentials }, { processHandlers }, { countCalls }, { v1 }] = await Promise.all([
    load(),
    import("./grpc/server.js"),
    import("./grpc/channel.js"),
    import("./process.js"),
    import("./grpc/server-metrics.js"),
    import("./grpc/protos.js"),
  ]);
  const it = await create({ config, log, registry, clock: systemClock, stateFolder: stateFolder(config.instance, process.env) });
  const served = (s: Service) =>
    serve({
      ...s,
      process: processHandlers(log),
      listen,
      credentials: serverCredentials(config),
      counted: countCalls(registry, [s.definition, v1.Process.service], systemClock.now),
    });
  const server = "open" in it ? await it.open(listen) : await served(it);
  const where = { ["open" in it ? it.protocol : "grpc"]: server.address };
  let stopping = false;
  const readiness = new Readiness(
    () => (stopping ? "it stops" : it.whyNotReady()),
    (why) => {
      server.setReady(why === null);
      manager.status(why);
      if (why === null) log.info("ready");
      else if (!stopping) log.warn({ reason: why }, "not ready");
    },
  );
  processMetrics(registry, {
    lines,
    ready: () => readiness.look() === null,
    spans: tracing.figures,
  });
  const metricsAddress = parseHostPort(config.services[service].metrics) as HostPort;
  const metrics = await serveMetrics(registry, metricsAddress, () => readiness.look());
  const stop = async (why: string): Promise<void> => {
    if (stopping) process.exit(1);
    stopping = true;
    manager.stopping();
    log.info({ why }, "stopping");
    readiness.look();
    readiness.stop();
    await it.stop().catch((e: unknown) => log.error({ err: e }, "stop"));
    await Promise.all([server.stop(), metrics.stop()]);
    await tracing.stop();
    await writer.flush(LAST_LINES_MS);
    process.exit(0);
  };
  setInterval(() => rereadCertificates(log), CERTIFICATES_MS).unref();
  signals.serve({
    stop: (signal) => void stop(signal),
    reload: onReload(service, config, log, it.reload),
    unused: (signal) => log.warn({ signal }, "signal without use: ignored"),
  });
  if (stopWithStdin) {
    process.stdin.on("end", () => void stop("stdin ended")).on("error", () => void stop("stdin failed"));
    process.stdin.resume();
  }
  process.on("unhandledRejection", (e) => log.error({ err: e }, "unhandled rejection"));
  process.on("uncaughtException", (e) => log.error({ err: e }, "uncaught exception"));
  process.stdout.on("error", () => {}); // a launcher that died must not take the loop with it
  process.stdout.write(
    `${JSON.stringify({ ready: true, service: label, pid: process.pid, ...where, metrics: metrics.address })}\n`,
  );
  log.info({ ...where, metrics: metrics.address }, "serving");
  manager.serving();
}

/** Starts OpenTelemetry where traces are wanted. */
async function startTracing(
  who: { service: string; instance: string; port: number },
  config: Config,
  log: Logger,
): Promise<{ figures: ProcessFigures["spans"]; stop(): Promise<void> }> {
  const target = traceTarget(config, process.env);
  if (target === null) return { figures: null, stop: async () => {} };
  const { where, protocol } = target;
  const { startOtel } = await import("./otel.js");
  const tracing = await startOtel(who, target, {
    failing: (reason) => log.warn({ where, protocol, reason }, "spans are not taken: they are lost until they are"),
    again: (lost) => log.info({ where, lost }, "spans are taken again"),
  });
  log.info({ where, protocol }, "traces are sent");
  return tracing;
}

function rereadCertificates(log: Logger): void {
  try {
    if (reloadCertificates()) log.info("certificates read again: they serve new connections");
  } catch (e) {
    log.error({ reason: (e as Error).message }, "certificates not read again: the last ones serve on");
  }
}

/** Reads the configuration again, as the command line says. A wrong one changes nothing. */
function onReload(service: ServiceName, started: Config, log: Logger, own: Reloadable | undefined): () => void {
  const level: Reloadable = {
    keys: ["log.level"],
    apply(config) {
      log.level = config.log.level;
    },
  };
  const reloader = new Reloader(started, own ? [level, own] : [level]);
  return () => {
    rereadCertificates(log);
    try {
      const { config } = parseArgs(service, process.argv.slice(2));
      const { applied, pending } = reloader.reload(config);
      log.info({ applied }, "configuration read again");
      if (pending.length > 0)
        log.warn({ pending }, "changed in the configuration; takes effect when the service is started again");
    } catch (e) {
      log.error({ reason: (e as Error).message }, "configuration not read again: nothing changed");
    }
  };
}
