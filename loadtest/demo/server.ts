// SPDX-License-Identifier: Apache-2.0
// One demo server: HTTP on a real socket in front of a processor-sharing queue. Every answer says who gave it.
//   GET /            a job of random size (exponential)          GET /?ms=50        a job of that size
//   GET /-/speed?x=0.3&s=20   slower by that factor for 20 s     GET /-/down?s=15   refuses connections for 15 s
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { PsQueue } from "./ps-queue.js";
import { exponential, type Random } from "./random.js";

export interface DemoServerOptions {
  name: string;
  cores: number;
  meanMs: number;
  host: string;
  port: number;
  random: Random;
  /** Jobs at once; above it the answer is 503 at once. */
  maxJobs?: number;
}

export class DemoServer {
  readonly #queue: PsQueue;
  readonly #timers = new Set<NodeJS.Timeout>();
  #server: Server | undefined;
  #wake: NodeJS.Timeout | undefined;
  #port: number;
  #stopped = false;

  constructor(readonly options: DemoServerOptions) {
    this.#queue = new PsQueue(options.cores);
    this.#port = options.port;
  }

  get address(): string {
    return `${this.options.host}:${this.#port}`;
  }

  /** Jobs in progress. */
  get jobs(): number {
    return this.#queue.length;
  }

  async listen(): Promise<void> {
    const server = createServer((request, response) => this.#answer(request, response));
    // A client keeps its connection for as long as it likes: the load balancer's own limits apply, not ours.
    server.keepAliveTimeout = 0;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: this.options.host, port: this.#port, backlog: 1024 }, resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const t of this.#timers) clearTimeout(t);
    clearTimeout(this.#wake);
    await this.#close();
  }

  async #close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://demo");
    request.resume();
    if (url.pathname.startsWith("/-/")) this.#control(url, response);
    else if (this.#queue.length >= (this.options.maxJobs ?? 1024)) this.#reply(response, 503, `${this.options.name} is full\n`);
    else this.#work(url, response);
  }

  #work(url: URL, response: ServerResponse): void {
    const asked = Number(url.searchParams.get("ms") ?? Number.NaN);
    const size = Number.isFinite(asked) ? Math.min(asked, 60_000) : exponential(this.options.random, this.options.meanMs);
    const job = this.#queue.add(performance.now(), size, () => this.#reply(response, 200, `${this.options.name}\n`));
    response.on("close", () => {
      if (!response.writableEnded) this.#queue.cancel(performance.now(), job);
    });
    this.#schedule();
  }

  #reply(response: ServerResponse, status: number, body: string): void {
    const headers = { "content-type": "text/plain", "content-length": Buffer.byteLength(body), "x-server": this.options.name };
    response.writeHead(status, headers).end(body);
  }

  /** One timer, for the next end; each event may bring it forward or push it back. */
  #schedule(): void {
    clearTimeout(this.#wake);
    const next = this.#queue.nextMs();
    if (next === undefined || this.#stopped) return;
    const wake = (): void => {
      this.#queue.advance(performance.now());
      this.#schedule();
    };
    this.#wake = setTimeout(wake, Math.max(0, next - performance.now()));
  }

  #control(url: URL, response: ServerResponse): void {
    const seconds = Math.min(Number(url.searchParams.get("s") ?? 15), 3600);
    const factor = Number(url.searchParams.get("x") ?? 0.3);
    if (url.pathname === "/-/down" && seconds > 0) {
      this.#reply(response, 200, `${this.options.name} refuses connections for ${seconds} s\n`);
      response.on("finish", () => {
        void this.#close();
        this.#after(seconds, () => this.#reopen());
      });
    } else if (url.pathname === "/-/speed" && factor > 0 && seconds > 0) {
      this.#queue.setSpeed(performance.now(), factor);
      this.#schedule();
      this.#after(seconds, () => {
        this.#queue.setSpeed(performance.now(), 1);
        this.#schedule();
      });
      this.#reply(response, 200, `${this.options.name} runs at ${factor} of its speed for ${seconds} s\n`);
    } else this.#reply(response, 404, "/-/speed?x=FACTOR&s=SECONDS or /-/down?s=SECONDS\n");
  }

  #after(seconds: number, then: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, seconds * 1000);
    this.#timers.add(timer);
  }

  #reopen(): void {
    if (this.#stopped || this.#server) return;
    this.listen().catch(() => this.#after(1, () => this.#reopen())); // its port is taken for the moment
  }
}
