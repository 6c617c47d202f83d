// SPDX-License-Identifier: Apache-2.0
// Requests through the VIPs of all load balancers, each on a connection of its own, and who answered each: the ledger of requests.
import net from "node:net";

export interface Answered {
  asked: number;
  server: string;
}

export interface Lost {
  asked: number;
  ended: number;
  vip: string;
  why: string;
}

/** Of one without an answer, until it is told, and until it counts as lost. */
const LONG_MS = 8000;
const TIMEOUT_MS = 15_000;

/** An origin that says its name and closes. */
export async function origin(name: string, host: string): Promise<net.Server> {
  const server = net.createServer({ noDelay: true }, (s) => {
    s.on("error", () => s.destroy());
    s.once("data", () => s.end(name));
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, host, resolve));
  return server;
}

export class Traffic {
  requests = 0;
  readonly answered: Answered[] = [];
  readonly lost: Lost[] = [];
  /** By how much this process was late at most, ms: its clients and servers share one loop, and may be starved as any other process. */
  late = 0;
  #open = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `long`: a request has had no answer for a while. */
  constructor(
    readonly vips: readonly string[],
    readonly perVipPerS: number,
    private readonly long: (vip: string) => void,
  ) {}

  start(): void {
    const everyMs = 1000 / this.perVipPerS;
    let before = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.late = Math.max(this.late, now - before - everyMs);
      before = now;
      for (const vip of this.vips) this.#ask(vip);
    }, everyMs);
  }

  #ask(vip: string): void {
    const asked = performance.now();
    const at = vip.lastIndexOf(":");
    const s = net.connect({ host: vip.slice(0, at), port: Number(vip.slice(at + 1)), noDelay: true });
    let text = "";
    let why = "";
    this.requests++;
    this.#open++;
    let connected = false;
    const long = setTimeout(() => this.long(vip), LONG_MS);
    const end = setTimeout(() => {
      const what = connected ? "no answer" : "no connection";
      s.destroy(new Error(`${what} within ${TIMEOUT_MS / 1000} s, of port ${s.localPort}`));
    }, TIMEOUT_MS);
    s.on("connect", () => {
      connected = true;
      s.write("who\n");
    });
    s.setEncoding("utf8").on("data", (t: string) => (text += t));
    s.on("error", (e) => (why = e.message));
    s.on("close", () => {
      this.#open--;
      clearTimeout(long);
      clearTimeout(end);
      if (why === "" && text !== "") this.answered.push({ asked, server: text });
      else this.lost.push({ asked, ended: performance.now(), vip, why: why || "closed without an answer" });
    });
  }

  /** Servers that answered requests asked since then, and forgets the answers before it. */
  since(time: number): Set<string> {
    const later = this.answered.filter((a) => a.asked >= time);
    this.answered.splice(0, this.answered.length, ...later);
    return new Set(later.map((a) => a.server));
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#open > 0) await new Promise((r) => setTimeout(r, 20));
  }
}
