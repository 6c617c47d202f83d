// SPDX-License-Identifier: Apache-2.0
// One link between two processes: a TCP proxy that can be cut, slowed and broken. A cut link is silent, as a network is: what was
// sent waits, new connections are taken by nobody, and nothing says so.
import net from "node:net";

type Mode = { kind: "open" } | { kind: "cut" } | { kind: "slow"; ms: number };

/** How much a direction may hold back before its sender is no longer read. */
const HELD_BYTES = 1 << 20;

interface Direction {
  from: net.Socket;
  to: net.Socket;
  /** Read, not yet passed on; `due` in ms of performance.now. */
  held: { bytes: Buffer; due: number }[];
  size: number;
  ended: boolean;
  timer?: NodeJS.Timeout;
}

export class Link {
  #mode: Mode = { kind: "open" };
  readonly #directions = new Set<Direction>();
  readonly #waiting = new Set<net.Socket>();
  #server: net.Server | undefined;
  #port = 0;

  private constructor(
    readonly name: string,
    readonly host: string,
    readonly port: number,
    readonly own: string,
  ) {}

  /** Listens on a port of its own at the address `own`, passes on to `target` (HOST:PORT). */
  static async to(name: string, target: string, own = "127.0.0.1"): Promise<Link> {
    const at = target.lastIndexOf(":");
    const link = new Link(name, target.slice(0, at), Number(target.slice(at + 1)), own);
    await link.#listen();
    return link;
  }

  get address(): string {
    return `${this.own}:${this.#port}`;
  }

  async #listen(): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (s) => this.#accept(s));
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(this.#port, this.own, resolve));
    this.#port = (server.address() as net.AddressInfo).port;
    this.#server = server;
  }

  #accept(client: net.Socket): void {
    client.on("error", () => client.destroy());
    if (this.#mode.kind === "cut") {
      // Taken by the kernel, met by nobody.
      client.pause();
      this.#waiting.add(client);
      client.once("close", () => this.#waiting.delete(client));
      return;
    }
    this.#connect(client);
  }

  #connect(client: net.Socket): void {
    const server = net.connect({ host: this.host, port: this.port, allowHalfOpen: true, noDelay: true });
    this.#pass(client, server);
    this.#pass(server, client);
  }

  #pass(from: net.Socket, to: net.Socket): void {
    const d: Direction = { from, to, held: [], size: 0, ended: false };
    this.#directions.add(d);
    from.on("data", (bytes) => {
      d.held.push({ bytes, due: performance.now() + (this.#mode.kind === "slow" ? this.#mode.ms : 0) });
      d.size += bytes.length;
      if (d.size > HELD_BYTES) from.pause();
      this.#move(d);
    });
    from.on("end", () => {
      d.ended = true;
      this.#move(d);
    });
    from.on("error", () => to.destroy());
    from.on("close", () => {
      clearTimeout(d.timer);
      this.#directions.delete(d);
      if (this.#mode.kind !== "cut" && d.held.length === 0) to.destroy();
      else if (this.#mode.kind === "cut") this.#waiting.add(to);
      else this.#move(d);
    });
  }

  #move(d: Direction): void {
    if (this.#mode.kind === "cut") return;
    clearTimeout(d.timer);
    for (let first = d.held[0]; first; first = d.held[0]) {
      const wait = first.due - performance.now();
      if (wait > 0) {
        d.timer = setTimeout(() => this.#move(d), wait);
        return;
      }
      d.held.shift();
      d.size -= first.bytes.length;
      d.to.write(first.bytes);
    }
    if (d.size <= HELD_BYTES) d.from.resume();
    if (d.ended || d.from.destroyed) d.to.end();
  }

  cut(): void {
    this.#mode = { kind: "cut" };
  }

  slow(ms: number): void {
    this.#mode = { kind: "slow", ms };
  }

  /** Every connection is reset; new ones are served. */
  reset(): void {
    for (const d of [...this.#directions]) d.from.resetAndDestroy();
  }

  heal(): void {
    this.#mode = { kind: "open" };
    for (const d of this.#directions) this.#move(d);
    for (const s of this.#waiting) {
      this.#waiting.delete(s);
      // Its other end went while the link was cut, or nobody ever answered: a network would say so now, by a reset.
      s.resetAndDestroy();
    }
  }

  async close(): Promise<void> {
    for (const d of [...this.#directions]) d.from.destroy();
    for (const s of this.#waiting) s.destroy();
    await new Promise<void>((resolve) => (this.#server ? this.#server.close(() => resolve()) : resolve()));
  }
}
