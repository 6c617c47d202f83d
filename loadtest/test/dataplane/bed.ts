// SPDX-License-Identifier: Apache-2.0
// What the tests of marllb-dp share: the process, its control socket, origins, and sockets that keep what they heard.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { control } from "../../../testbed/control.js";
import { dpConfig } from "../../../testbed/dp-config.js";
import { Child, nativeBin } from "../../../testbed/process.js";
import { sleep } from "../../../testbed/wait.js";

/** Another build of it can be tested, for example one with a sanitizer. */
export const binary = process.env.MARLLB_DP ?? nativeBin("marllb-dp");

export interface ServerStats {
  id: number;
  address: string;
  flags: string[];
  flows: number;
  waiting: number;
  newFlows: number;
  completions: number;
  refusals: number;
  resets: number;
  aborts: number;
  unanswered: number;
  unmade: number;
  timedOut: number;
  answers: number;
  bytesIn: number;
  bytesOut: number;
  ejections: number;
}

export interface VipStats {
  name: string;
  connections: number;
  mode: string;
  frame: number;
  noServer: number;
  limited: number;
  failed: number;
  retries: number;
  recountDiff: number;
  badProxyHeaders: number;
  datagramsLost: number;
  servers: ServerStats[];
}

export interface DpOptions {
  /** Options behind the address of the VIP `web`. */
  vip?: string;
  host?: string;
  port?: number;
  servers?: readonly (net.Server | string)[];
  lines?: readonly string[];
  args?: readonly string[];
  threads?: number;
  folder?: string;
  /** Started for longer than its parent lives; the test ends it by its pid. */
  alone?: boolean;
}

export class Dp {
  ports = new Map<string, number>();
  /** Of the data plane itself, where it has a supervisor. */
  servingPid = 0;
  private constructor(
    readonly child: Child,
    readonly command: readonly string[],
    readonly folder: string,
  ) {}

  static command(o: DpOptions): { folder: string; file: string; command: string[] } {
    const folder = o.folder ?? mkdtempSync(path.join(os.tmpdir(), "marllb-dp-"));
    const host = o.host ?? "127.0.0.1";
    const shown = host.includes(":") ? `[${host}]` : host;
    const file = path.join(folder, "dp.conf");
    writeFileSync(
      file,
      dpConfig({
        region: `${folder}/region`,
        control: `${folder}/control`,
        threads: o.threads ?? 2,
        frameMs: 20,
        vip: { name: "web", address: `${shown}:${o.port ?? 0}`, ...(o.vip !== undefined && { options: o.vip }) },
        servers: (o.servers ?? []).map((s) => (typeof s === "string" ? s : addressOf(s))),
        ...(o.lines && { lines: o.lines }),
      }),
    );
    return { folder, file, command: [binary, "--config", file, ...(o.alone ? [] : ["--stop-with-stdin"]), ...(o.args ?? [])] };
  }

  static async start(o: DpOptions = {}): Promise<Dp> {
    const { folder, command } = Dp.command(o);
    return Dp.run(command, folder);
  }

  static async run(command: readonly string[], folder: string): Promise<Dp> {
    const dp = new Dp(new Child(command), command, folder);
    try {
      const ready = JSON.parse(await dp.child.line(20_000)) as {
        pid: number;
        vips: { name: string; port: number }[];
      };
      dp.servingPid = ready.pid;
      for (const v of ready.vips) dp.ports.set(v.name, v.port);
    } catch (e) {
      await dp.child.stop();
      throw e;
    }
    return dp;
  }

  get port(): number {
    return this.ports.get("web") as number;
  }

  /** The answer without its last line; rejects with what the data plane said when that is an error. */
  control(line: string): Promise<string> {
    return control(path.join(this.folder, "control"), line);
  }

  async stats(vip = "web"): Promise<VipStats> {
    const all = JSON.parse(await this.control("show stats json")) as { vips: VipStats[] };
    return all.vips.find((v) => v.name === vip) as VipStats;
  }

  /** The first newer frame of which `ok` is true. */
  async statsWhen(what: string, ok: (s: VipStats) => boolean, ms = 15_000, vip = "web"): Promise<VipStats> {
    let s = await this.stats(vip);
    await until(
      what,
      async () => ok((s = await this.stats(vip))),
      ms,
      () => JSON.stringify(s),
    );
    return s;
  }

  residentKiB(): number {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.child.pid}/status`, "utf8"))?.[1]);
  }

  /** Ends it (its exit code must be 0) and removes its folder. */
  async stop(): Promise<number | null> {
    this.child.process.stdin?.end();
    const late = setTimeout(() => this.child.process.kill("SIGKILL"), 20_000);
    const code = await this.child.exited;
    clearTimeout(late);
    rmSync(this.folder, { recursive: true, force: true });
    return code;
  }
}

export async function until(what: string, ok: () => Promise<boolean> | boolean, ms = 15_000, seen = () => ""): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    if (await ok()) return;
    await sleep(10);
  }
  throw new Error(`${what}: not within ${ms} ms ${seen()}`);
}

export function addressOf(s: net.Server): string {
  const a = s.address() as net.AddressInfo;
  return a.family === "IPv6" ? `[${a.address}]:${a.port}` : `${a.address}:${a.port}`;
}

const servers = new Map<net.Server, Set<net.Socket>>();

/** A TCP server; both directions half-close by themselves. */
export async function origin(onSocket: (s: net.Socket) => void, host = "127.0.0.1", port = 0): Promise<net.Server> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (s) => {
    sockets.add(s);
    s.on("close", () => sockets.delete(s));
    s.on("error", () => {});
    onSocket(s);
  });
  servers.set(server, sockets);
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  return server;
}

/** Closes it and everything it accepted. */
export async function closeOrigin(s: net.Server): Promise<void> {
  const closed = new Promise((resolve) => s.close(resolve));
  for (const c of servers.get(s) ?? []) c.destroy();
  await closed;
}

export const echo = (s: net.Socket): void => {
  s.pipe(s);
};

/** Answers every line with its own name. */
export const named =
  (name: string) =>
  (s: net.Socket): void => {
    s.on("data", (d) => {
      for (const c of d) if (c === 10) s.write(`${name}\n`);
    });
    s.on("end", () => s.end());
  };

/** A client's socket: what it heard, and how it ended. */
export class Peer {
  readonly chunks: Buffer[] = [];
  error: NodeJS.ErrnoException | null = null;
  ended = false;
  readonly closed: Promise<void>;
  constructor(readonly socket: net.Socket) {
    socket.on("data", (d) => this.chunks.push(d));
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("error", (e) => {
      this.error = e;
    });
    this.closed = new Promise((resolve) => socket.on("close", () => resolve()));
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }
  async heard(text: string): Promise<void> {
    await until(
      `hear ${JSON.stringify(text)}`,
      () => this.text.includes(text),
      15_000,
      () => `heard ${JSON.stringify(this.text.slice(0, 200))} ${this.error?.code ?? ""}`,
    );
  }
}

/** A connection; one that is reset before its connect is seen is a Peer with that error too. */
export function dial(port: number, host = "127.0.0.1"): Promise<Peer> {
  return new Promise((resolve, reject) => {
    const s = net.connect({ port, host, allowHalfOpen: true, noDelay: true });
    const peer = new Peer(s);
    s.once("connect", () => resolve(peer));
    s.once("error", (e: NodeJS.ErrnoException) => (e.code === "ECONNRESET" ? resolve(peer) : reject(e)));
  });
}

/** One question, one answer, closed in order. */
export async function ask(port: number, host = "127.0.0.1"): Promise<string> {
  const p = await dial(port, host);
  p.socket.end("?\n");
  await p.closed;
  if (p.error) throw p.error;
  return p.text.trim();
}
