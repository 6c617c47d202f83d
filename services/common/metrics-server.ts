// SPDX-License-Identifier: Apache-2.0
// /metrics, /livez and /readyz of a service.
import { createServer, type Server, type ServerResponse } from "node:http";
import { formatHostPort, type HostPort } from "./config/address.js";
import { contentType, type Registry, wantsOpenMetrics } from "./metrics.js";
import type { WhyNot } from "./readiness.js";

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
      void scraped(registry, wantsOpenMetrics(request.headers.accept), response);
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

async function scraped(registry: Registry, open: boolean, response: ServerResponse): Promise<void> {
  try {
    const { pieces, release } = await registry.page(open);
    if (response.destroyed) return release();
    response.once("close", release);
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    response.writeHead(200, { "content-type": contentType(open), "content-length": length });
    response.cork();
    for (const piece of pieces) response.write(piece);
    response.end();
  } catch (e) {
    response.writeHead(500, { "content-type": "text/plain" }).end(`${String(e)}\n`);
  }
}
