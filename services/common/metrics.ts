// SPDX-License-Identifier: Apache-2.0
// /metrics, /livez and /readyz of a service. Gauges are filled when they are read, so that the tick pays nothing for them.
import { createServer, type Server } from "node:http";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { formatHostPort, type HostPort } from "./config/address.js";
import type { WhyNot } from "./readiness.js";

export { Counter, Gauge, Histogram, Registry };

/** Gauges with a counter's name, which Prometheus' own check refuses; the figures by type stay. */
const MISNAMED = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

export function createRegistry(service: string, instance: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service, instance_name: instance });
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  return registry;
}

/** Says one series' value. */
type Say<L extends string> = (labels: Record<L, string>, value: number) => void;

/** A counter whose values are known elsewhere: `read` says them when it is scraped; what it does not say is gone. */
export function readCounter<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[],
  read: (say: Say<L>) => void,
): void {
  new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      read((labels, value) => this.inc(labels, value));
    },
  });
}

/** The same for a gauge. */
export function readGauge<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[],
  read: (say: Say<L>) => void,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      read((labels, value) => this.set(labels, value));
    },
  });
}

/** A summary whose quantiles, sum and count are known elsewhere; what is unknown is left out. Seconds. */
export interface Quantiles {
  labels: Record<string, string>;
  quantiles: [quantile: string, seconds: number][];
  sum: number;
  count: number;
}

/** prom-client's own Summary can only observe: this one is filled when it is read. */
export function registerQuantiles(registry: Registry, name: string, help: string, read: () => Quantiles[]): void {
  const get = async () => ({
    name,
    help,
    type: "summary",
    aggregator: "omit",
    values: read().flatMap((s) => [
      ...s.quantiles.map(([quantile, value]) => ({ labels: { ...s.labels, quantile }, value })),
      { metricName: `${name}_sum`, labels: s.labels, value: s.sum },
      { metricName: `${name}_count`, labels: s.labels, value: s.count },
    ]),
  });
  registry.registerMetric({ name, get, reset() {} } as unknown as Gauge);
}

export interface MetricsServer {
  address: string;
  stop(): Promise<void>;
}

export async function serveMetrics(registry: Registry, listen: HostPort, whyNotReady: WhyNot): Promise<MetricsServer> {
  const server: Server = createServer((request, response) => {
    const path = (request.url ?? "/").split("?")[0];
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
    } else if (path === "/livez") {
      // That it is answered is the answer: the loop turns.
      response.writeHead(200, { "content-type": "text/plain" }).end("ok\n");
    } else if (path === "/readyz") {
      const why = whyNotReady();
      response.writeHead(why === null ? 200 : 503, { "content-type": "text/plain" }).end(`${why ?? "ready"}\n`);
    } else if (path === "/metrics") {
      registry.metrics().then(
        (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
        (e: unknown) => response.writeHead(500, { "content-type": "text/plain" }).end(`${String(e)}\n`),
      );
    } else {
      response.writeHead(404, { "content-type": "text/plain" }).end("/metrics, /livez or /readyz\n");
    }
  });
  // Scrapers are few; whoever opens connections and says nothing is closed.
  server.maxConnections = 256;
  server.setTimeout(30_000);
  const wanted = formatHostPort(listen.host, listen.port);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (e: NodeJS.ErrnoException) => {
      const reason = e.code === "EADDRINUSE" ? "is in use by another process; choose another with --metrics-port" : e.message;
      reject(new Error(`metrics address ${wanted} ${reason}`));
    });
    server.listen({ host: listen.host, port: listen.port }, resolve);
  });
  const bound = server.address();
  return {
    address: formatHostPort(listen.host, typeof bound === "object" && bound !== null ? bound.port : listen.port),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
