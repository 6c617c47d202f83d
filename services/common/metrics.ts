// SPDX-License-Identifier: Apache-2.0
// /metrics and /healthz of a service. Gauges are filled when they are read, so that the tick pays nothing for them.
import { createServer, type Server } from "node:http";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { formatHostPort, type HostPort } from "./config/address.js";

export { Counter, Gauge, Histogram, Registry };

export function createRegistry(service: string, instance: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service, instance_name: instance });
  collectDefaultMetrics({ register: registry });
  return registry;
}

export interface MetricsServer {
  address: string;
  stop(): Promise<void>;
}

export async function serveMetrics(registry: Registry, listen: HostPort, healthy: () => boolean): Promise<MetricsServer> {
  const server: Server = createServer((request, response) => {
    const path = (request.url ?? "/").split("?")[0];
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
    } else if (path === "/healthz") {
      const ok = healthy();
      response.writeHead(ok ? 200 : 503, { "content-type": "text/plain" }).end(ok ? "ok\n" : "not serving\n");
    } else if (path === "/metrics") {
      registry.metrics().then(
        (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
        (e: unknown) => response.writeHead(500, { "content-type": "text/plain" }).end(`${String(e)}\n`),
      );
    } else {
      response.writeHead(404, { "content-type": "text/plain" }).end("/metrics or /healthz\n");
    }
  });
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
