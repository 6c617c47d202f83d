// SPDX-License-Identifier: Apache-2.0
// A small site on this machine: two load balancers, two replicas of each service, etcd where it is installed. Every connection between
// them goes through a link that can be cut. Where the kernel allows it each has a network of its own, so that packets can be dropped too.
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { stringify } from "yaml";
import { dpConfig } from "../../testbed/dp-config.js";
import { etcdArguments, etcdMissing } from "../../testbed/etcd.js";
import { Child, family, freePort, nativeBin, read, START_MS, tasks } from "../../testbed/process.js";
import { type ServiceFolder, serviceCommand } from "../../testbed/service.js";
import { eventually } from "../../testbed/wait.js";
import { Link } from "./link.js";
import type { Host, Net } from "./net.js";
import { jumpVdso } from "./vdso.js";

export type Kind = ServiceFolder | "dataplane" | "etcd";

export interface Part {
  name: string;
  kind: Kind;
  /** gRPC or client address; of a data plane its VIP. */
  address: string;
  child: Child | undefined;
  command(): { command: string[]; env: NodeJS.ProcessEnv };
  /** Of the data plane that serves; `child` is its supervisor. */
  serving?: number;
}

/** From a host to an address that it dials: what packets of others may be dropped between. */
export interface Wire {
  name: string;
  from: string;
  to: string;
  host: Host;
  address: string;
}

const WEB = "web";
const LOOPBACK = "127.0.0.1";

export class Site {
  readonly folder = mkdtempSync(path.join(os.tmpdir(), "marllb-chaos-"));
  readonly parts = new Map<string, Part>();
  readonly links: Link[] = [];
  /** Empty without `net`. */
  readonly wires: Wire[] = [];
  readonly etcd = etcdMissing === null;
  readonly #draining: Child[] = [];
  /** Every data plane that served, for those that outlived their supervisor. */
  readonly #served = new Set<number>();

  private constructor(
    readonly servers: readonly string[],
    readonly tickMs: number,
    readonly net: Net | null,
  ) {}

  static async start(servers: readonly string[], tickMs: number, net: Net | null): Promise<Site> {
    const site = new Site(servers, tickMs, net);
    try {
      await site.#lay();
      for (const p of site.parts.values()) await site.begin(p);
      return site;
    } catch (e) {
      await site.stop();
      throw e;
    }
  }

  of(kind: Kind): Part[] {
    return [...this.parts.values()].filter((p) => p.kind === kind);
  }

  async #lay(): Promise<void> {
    if (this.etcd) {
      const peer = await this.#freeAddress("etcd");
      this.#add("etcd", "etcd", await this.#freeAddress("etcd"), () => ({ command: this.#etcdCommand(peer), env: {} }));
    }
    const replicas = this.etcd ? 2 : 1;
    for (const n of [1, 2]) await this.#service("health", n, {});
    for (const n of [1, 2]) await this.#service("inference", n, {});
    for (let n = 1; n <= replicas; n++) await this.#failover(n);
    for (const n of [1, 2]) await this.#loadBalancer(n);
  }

  #add(name: string, kind: Kind, address: string, command: Part["command"]): Part {
    const part: Part = { name, kind, address, child: undefined, command };
    this.parts.set(name, part);
    return part;
  }

  /** Agent and data plane of a load balancer share a host. */
  async #host(part: string): Promise<Host | null> {
    return this.net ? this.net.host(part.replace(/^(agent|dataplane)/, "lb")) : null;
  }

  async #freeAddress(part: string): Promise<string> {
    return `${(await this.#host(part))?.address ?? LOOPBACK}:${await freePort()}`;
  }

  async #wire(from: string, to: string, address: string): Promise<void> {
    const host = await this.#host(from);
    if (host) this.wires.push({ name: `${from}-${to}`, from, to, host, address: address.slice(0, address.lastIndexOf(":")) });
  }

  async #link(from: string, to: Part): Promise<string> {
    const link = await Link.to(`${from}-${to.name}`, to.address, await this.net?.address());
    this.links.push(link);
    await this.#wire(from, to.name, link.address);
    return link.address;
  }

  /** What `from` dials for a service: its links to all replicas. */
  async #dialled(from: string, kind: Kind): Promise<string> {
    const all = await Promise.all(this.of(kind).map((p) => this.#link(from, p)));
    return `ipv4:${all.join(",")}`;
  }

  async #failover(n: number): Promise<void> {
    const name = `failover${n}`;
    const [etcd] = this.of("etcd");
    const file = { kind: "file", path: path.join(this.folder, `${name}.json`) };
    const store = etcd ? { kind: "etcd", endpoints: [await this.#link(name, etcd)] } : file;
    const health = await this.#dialled(name, "health");
    await this.#service("failover", n, { failover: { store }, services: { health: { address: health } } });
  }

  async #loadBalancer(n: number): Promise<void> {
    const name = `agent${n}`;
    const vip = await this.#freeAddress(name);
    const region = path.join("/dev/shm", `${path.basename(this.folder)}-${n}`);
    const conf = path.join(this.folder, `dataplane${n}.conf`);
    const text = dpConfig({
      region,
      control: this.controlSocket(n),
      instance: `lb${n}`,
      threads: 1,
      frameMs: this.tickMs / 2,
      vip: { name: WEB, address: vip, options: "mode sed" },
      servers: this.servers.map((s) => `${s} weight 1`),
    });
    writeFileSync(conf, text);
    this.#add(`dataplane${n}`, "dataplane", vip, () => ({
      // Not with its stdin: Node closes that when the supervisor ends, and the data plane is to serve on.
      command: [nativeBin("marllb-dp"), "--config", conf, "--supervise"],
      env: {},
    }));
    for (const [i, s] of this.servers.entries()) await this.#wire(`dataplane${n}`, `s${i}`, s);
    const services: Record<string, object> = {};
    for (const kind of ["inference", "health", "failover"] as const)
      services[kind] = { address: await this.#dialled(name, kind) };
    await this.#service("shm-agent", n, { instance: `lb${n}`, region: { path: region }, services });
  }

  controlSocket(n: number): string {
    return path.join(this.folder, `dataplane${n}.ctl`);
  }

  async #service(kind: ServiceFolder, n: number, own: Record<string, unknown>): Promise<void> {
    const name = `${kind === "shm-agent" ? "agent" : kind}${n}`;
    const address = await this.#freeAddress(name);
    const key = kind.replace("-", "_");
    const listen = { [key]: { listen: address, metrics: await this.#freeAddress(name) } };
    const config = {
      instance: name,
      tick_ms: this.tickMs,
      vips: [
        {
          name: WEB,
          address: "127.0.0.1:1",
          policy: "marl",
          load_balancers: 2,
          servers: this.servers.map((s) => ({ address: s, weight: 1 })),
        },
      ],
      health: { interval_ms: 500, timeout_ms: 400 },
      log: { level: "warn" },
      ...own,
      services: { ...(own.services as object | undefined), ...listen },
    };
    const file = path.join(this.folder, `${name}.yaml`);
    writeFileSync(file, stringify(config));
    this.#add(name, kind, address, () => ({
      command: serviceCommand(kind, ["--config", file, "--stop-with-stdin"]),
      env: { NODE_OPTIONS: "" },
    }));
    if (kind === "health") for (const [i, s] of this.servers.entries()) await this.#wire(name, `s${i}`, s);
  }

  #etcdCommand(peerAddress: string): string[] {
    const data = ["--data-dir", path.join(this.folder, "etcd"), "--log-level", "error"];
    return ["etcd", ...data, ...etcdArguments(`http://${(this.parts.get("etcd") as Part).address}`, `http://${peerAddress}`)];
  }

  /** Starts a part; resolves when it serves. */
  async begin(p: Part, ...flags: string[]): Promise<void> {
    const { command, env } = p.command();
    const clock = { LD_PRELOAD: nativeBin("marllb-clock-jump.so"), MARLLB_CLOCK_FILE: this.#clockFile(p, 0) };
    const here = (await this.#host(p.name))?.command([...command, ...flags]) ?? [...command, ...flags];
    p.child = new Child(here, { env: { ...process.env, ...clock, ...env } });
    if (p.kind === "etcd")
      await eventually("etcd is healthy", async () => (await fetch(`http://${p.address}/health`).catch(() => null))?.ok);
    else if (p.kind === "dataplane") await this.serves(p);
    else await p.child.line(START_MS);
  }

  /** The supervisor says of each data plane that it began, and that it serves. */
  async serves(p: Part): Promise<void> {
    for (;;) {
      const said = JSON.parse((await p.child?.line(START_MS)) ?? "") as { ready: boolean; pid: number };
      if (!said.ready) continue;
      p.serving = said.pid;
      this.#served.add(said.pid);
      return;
    }
  }

  #clockFile(p: Part, seconds: number): string {
    const file = path.join(this.folder, `${p.name}.clock`);
    const bytes = Buffer.alloc(8);
    (os.endianness() === "LE" ? bytes.writeBigInt64LE : bytes.writeBigInt64BE).call(bytes, BigInt(seconds));
    // In place: the process has the file mapped.
    const fd = openSync(file, existsSync(file) ? "r+" : "w");
    writeSync(fd, bytes);
    closeSync(fd);
    return file;
  }

  /** A part's wall clock is `seconds` off from now on. etcd reads it past the C library. */
  async jumpClock(p: Part, seconds: number): Promise<void> {
    if (p.kind !== "etcd") this.#clockFile(p, seconds);
    else if (p.child) await jumpVdso(p.child.pid, seconds);
  }

  /** The next supervisor takes over from the data plane of one that is gone. That one drains, and ends by itself. */
  async takeOver(p: Part): Promise<void> {
    if (p.child) this.#draining.push(p.child);
    await this.begin(p, "--takeover");
  }

  /** As a new binary is tried by hand: it takes over without a supervisor, and the supervisor's next one takes over from it. */
  async takeOverByHand(p: Part): Promise<void> {
    const { command, env } = p.command();
    const plain = [...command.filter((a) => a !== "--supervise"), "--takeover"];
    const child = new Child((await this.#host(p.name))?.command(plain) ?? plain, { env: { ...process.env, ...env } });
    this.#draining.push(child);
    await child.line(START_MS);
    await this.serves(p);
  }

  /** A part's processes; of a data plane its supervisor's, too. */
  signal(p: Part, signal: NodeJS.Signals): void {
    if (p.child && !p.child.ended) for (const pid of family(p.child.pid)) sent(pid, signal);
  }

  /** A part as a whole; resolves when it is gone. */
  async kill(p: Part): Promise<void> {
    this.signal(p, "SIGKILL");
    await p.child?.exited;
    if (p.serving) await this.#gone(p.serving);
  }

  /** The data plane alone; resolves when it is gone. Its supervisor begins the next one. */
  async killServing(p: Part): Promise<void> {
    const pid = p.serving ?? -1;
    if (this.#ours(pid)) sent(pid, "SIGKILL");
    await this.#gone(pid);
  }

  async #gone(pid: number): Promise<void> {
    // One that is ending has no command line any more, but its files, until it is a zombie without another thread.
    const over = (): boolean => tasks(pid).length <= 1 && /^(?:\d+ \(.*\) [ZX] .*)?$/s.test(read(`/proc/${pid}/stat`));
    await eventually(`process ${pid} is dead`, async () => !this.#ours(pid) && over());
  }

  /** Its number may be another process's by now. One that is dead and not yet reaped has no command line. */
  #ours(pid: number): boolean {
    return read(`/proc/${pid}/cmdline`).includes(this.folder);
  }

  /** The supervisor alone leaves, or is killed: its data plane serves on, and the next one takes over from it. */
  async leave(p: Part, signal: "SIGUSR2" | "SIGKILL"): Promise<void> {
    p.child?.process.kill(signal);
    await p.child?.exited;
  }

  async stop(): Promise<void> {
    for (const p of this.parts.values()) this.signal(p, "SIGCONT");
    const order: Kind[] = ["shm-agent", "inference", "failover", "health", "dataplane", "etcd"];
    for (const child of this.#draining) await child.stop();
    for (const kind of order) await Promise.all(this.of(kind).map((p) => p.child?.stop()));
    for (const pid of this.#served) if (this.#ours(pid)) sent(pid, "SIGKILL");
    for (const l of this.links) await l.close();
    rmSync(this.folder, { recursive: true, force: true });
    for (const n of [1, 2]) rmSync(path.join("/dev/shm", `${path.basename(this.folder)}-${n}`), { force: true });
  }
}

function sent(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}
