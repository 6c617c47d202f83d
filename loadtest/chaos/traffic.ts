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

/**
 * Of one without an answer, until it is told, and until it counts as lost. Clients and servers share one process, which may be starved as any
 * other: so its own turns count, not the clock. They come every 40 ms where it has the processor.
 */
const LONG_TURNS = 200;
const LAST_TURNS = 375;

interface Open {
  asked: number;
  vip: string;
  socket: net.Socket;
  connected: boolean;
  turns: number;
}

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
  /** By how much this process was late at most, ms. */
  late = 0;
  readonly #open = new Set<Open>();
  #timer: NodeJS.Timeout | undefined;
  #asks = true;

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
      for (const o of this.#open) this.#turn(o);
      if (this.#asks) for (const vip of this.vips) this.#ask(vip);
    }, everyMs);
  }

  #turn(o: Open): void {
    o.turns++;
    if (o.turns === LONG_TURNS) this.long(o.vip);
    if (o.turns !== LAST_TURNS) return;
    const what = o.connected ? "no answer" : "no connection";
    o.socket.destroy(new Error(`${what} in ${LAST_TURNS} turns, of port ${o.socket.localPort}`));
  }

  #ask(vip: string): void {
    const asked = performance.now();
    const at = vip.lastIndexOf(":");
    const s = net.connect({ host: vip.slice(0, at), port: Number(vip.slice(at + 1)), noDelay: true });
    let text = "";
    let why = "";
    const open: Open = { asked, vip, socket: s, connected: false, turns: 0 };
    this.requests++;
    this.#open.add(open);
    s.on("connect", () => {
      open.connected = true;
      s.write("who\n");
    });
    s.setEncoding("utf8").on("data", (t: string) => (text += t));
    s.on("error", (e) => (why = e.message));
    s.on("close", () => {
      this.#open.delete(open);
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
    this.#asks = false;
    if (this.#timer) while (this.#open.size > 0) await new Promise((r) => setTimeout(r, 20));
    clearInterval(this.#timer);
  }
}
