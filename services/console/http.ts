// SPDX-License-Identifier: Apache-2.0
// The console's HTTP: which path answers what, to whom, under which headers. Nothing is believed that comes in.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecure } from "node:https";
import { gzip } from "node:zlib";
import { formatHostPort, type HostPort } from "../common/config/address.js";
import type { Config } from "../common/config/load.js";
import { certificatesOf } from "../common/grpc/certificates.js";
import { ServiceError } from "../common/grpc/errors.js";
import type { Endpoint } from "../common/run.js";
import type { Access } from "./access.js";
import { httpError } from "./actions.js";
import type { PageFile } from "./files.js";
import { type LiveReaders, MAX_READERS } from "./live.js";
import type { Me, Role } from "./wire.js";

const MAX_BODY = 256 * 1024;
const MAX_CONNECTIONS = 256;
const ZIP_FROM = 2048;

/** Everything is ours and from here: no inline script or style, no frame around it, nothing said to others. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=()",
};

export interface Question {
  url: URL;
  me: Me;
  body: unknown;
}

export interface Route {
  method: "GET" | "POST";
  role: Role;
  answer(q: Question): unknown;
}

export interface HttpOptions {
  config: Config;
  access: Access;
  files: ReadonlyMap<string, PageFile>;
  routes: ReadonlyMap<string, Route>;
  live: LiveReaders;
  failed(e: unknown): void;
}

const RANK: Record<Role, number> = { none: 0, read: 1, operate: 2 };

function say(response: ServerResponse, code: number, text: string, more: Record<string, string> = {}): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(code, { "content-type": "application/json", "cache-control": "no-store", ...more });
  response.end(JSON.stringify({ error: text }));
}

function file(request: IncomingMessage, response: ServerResponse, f: PageFile): void {
  const headers = { "content-type": f.type, etag: f.tag, "cache-control": "no-cache", vary: "accept-encoding" };
  if (request.headers["if-none-match"] === f.tag) {
    response.writeHead(304, headers).end();
    return;
  }
  const zip = takesGzip(request);
  const body = zip ? f.zipped : f.body;
  response.writeHead(200, { ...headers, "content-length": body.length, ...(zip && { "content-encoding": "gzip" }) });
  response.end(request.method === "HEAD" ? undefined : body);
}

const takesGzip = (request: IncomingMessage): boolean => /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));

async function json(request: IncomingMessage, response: ServerResponse, value: unknown): Promise<void> {
  const text = Buffer.from(JSON.stringify(value));
  const zip = text.length >= ZIP_FROM && takesGzip(request);
  const body = zip
    ? await new Promise<Buffer>((resolve, reject) => gzip(text, { level: 1 }, (e, z) => (e ? reject(e) : resolve(z))))
    : text;
  if (response.destroyed) return;
  response.writeHead(200, {
    "content-type": "application/json",
    "cache-control": "no-store",
    "content-length": body.length,
    ...(zip && { "content-encoding": "gzip" }),
  });
  response.end(body);
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/json\b/.test(request.headers["content-type"] ?? ""))
    throw new ServiceError("INVALID_ARGUMENT", "content-type: expected application/json");
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) throw new ServiceError("INVALID_ARGUMENT", `the body: expected at most ${MAX_BODY} bytes`);
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    throw new ServiceError("INVALID_ARGUMENT", "the body: expected JSON");
  }
}

async function handle(o: HttpOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  const { host, origin } = request.headers;
  if (!o.access.hostAllowed(host))
    return say(response, 421, `host: ${host} is no name of the console (services.console.address gives it one)`);
  const url = new URL(request.url ?? "/", "http://console");
  const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
  const f = o.files.get(url.pathname);
  if (f && method === "GET") return file(request, response, f);
  const live = url.pathname === "/api/live";
  const route = live ? undefined : o.routes.get(url.pathname);
  if (!live && !route) return say(response, 404, "nothing is here");
  if (method !== (route?.method ?? "GET")) return say(response, 405, "wrong method", { allow: route?.method ?? "GET" });
  if (origin !== undefined && origin !== `${o.config.tls ? "https" : "http"}://${host}`)
    return say(response, 403, "origin: another page must not ask here");
  const me = o.access.who(request);
  if (RANK[me.role] < RANK[route?.role ?? "read"])
    return say(response, me.role === "read" ? 403 : 401, me.hint || "not allowed", { "www-authenticate": "Bearer" });
  if (live) {
    if (!o.live.add(response, url.searchParams.get("vip") ?? ""))
      say(response, 503, `${MAX_READERS} pages are open already`, { "retry-after": "10" });
    return;
  }
  const body = route?.method === "POST" ? await readBody(request) : undefined;
  await json(request, response, await route?.answer({ url, me, body }));
}

export async function openHttp(o: HttpOptions, at: HostPort): Promise<Endpoint> {
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    response.on("error", () => {});
    handle(o, request, response).catch((e: unknown) => {
      const { code, text } = httpError(e);
      if (code >= 500) o.failed(e);
      say(response, code, text);
    });
  };
  const server = o.config.tls ? secure(o.config.tls, serve) : createServer(serve);
  server.maxConnections = MAX_CONNECTIONS;
  server.headersTimeout = 10_000;
  server.requestTimeout = 20_000;
  server.keepAliveTimeout = 10_000;
  const wanted = formatHostPort(at.host, at.port);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (e: NodeJS.ErrnoException) => {
      const why = e.code === "EADDRINUSE" ? "is in use by another process; choose another with --port" : e.message;
      reject(new Error(`address ${wanted} ${why}`));
    });
    server.listen({ host: at.host, port: at.port }, resolve);
  });
  const bound = server.address();
  return {
    address: formatHostPort(at.host, typeof bound === "object" && bound !== null ? bound.port : at.port),
    setReady() {},
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Certificates that were renewed serve the next connection. With `ca`, clients are asked for theirs; access.ts decides what it is worth. */
function secure(tls: NonNullable<Config["tls"]>, serve: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const files = certificatesOf(tls);
  const server = createSecure({ requestCert: tls.ca !== undefined, rejectUnauthorized: false }, serve);
  let ca: Buffer | undefined;
  files.addCaCertificateListener((u) => (ca = u?.caCertificate));
  files.addIdentityCertificateListener((u) => {
    if (u) server.setSecureContext({ cert: u.certificate, key: u.privateKey, ...(tls.ca !== undefined && ca && { ca }) });
  });
  return server;
}
