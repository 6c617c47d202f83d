// SPDX-License-Identifier: Apache-2.0
// A small site on this machine: two load balancers, two replicas of each service, etcd where it is installed; every connection
// between them goes through a link that can be cut.
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { stringify } from "yaml";
import { dpConfig } from "../../testbed/dp-config.js";
import { etcdArguments, etcdMissing } from "../../testbed/etcd.js";
import { Child, freePort, nativeBin, START_MS } from "../../testbed/process.js";
import { type ServiceFolder, serviceCommand } from "../../testbed/service.js";
import { eventually } from "../../testbed/wait.js";
import { Link } from "./link.js";

export type Kind = ServiceFolder | "dataplane" | "etcd";

export interface Part {
  name: string;
  kind: Kind;
  /** gRPC or client address; of a data plane its VIP. */
  address: string;
  child: Child | undefined;
  command(): { command: string[]; env: NodeJS.ProcessEnv };
}

const WEB = "web";

export class Site {
  readonly folder = mkdtempSync(path.join(os.tmpdir(), "marllb-chaos-"));
  readonly parts = new Map<string, Part>();
  readonly links: Link[] = [];
  readonly etcd = etcdMissing === null;
  readonly #draining: Child[] = [];

  private constructor(
    readonly servers: readonly string[],
    readonly tickMs: number,
  ) {}

  static async start(servers: readonly string[], tickMs: number): Promise<Site> {
    const site = new Site(servers, tickMs);
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
      const peer = await freeAddress();
      this.#add("etcd", "etcd", await freeAddress(), () => ({ command: this.#etcdCommand(peer), env: {} }));
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

  async #link(from: string, to: Part): Promise<string> {
    const link = await Link.to(`${from}-${to.name}`, to.address);
    this.links.push(link);
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
    const vip = await freeAddress();
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
      command: [nativeBin("marllb-dp"), "--config", conf, "--stop-with-stdin"],
      env: {},
    }));
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
    const address = await freeAddress();
    const key = kind.replace("-", "_");
    const listen = { [key]: { listen: address, metrics: await freeAddress() } };
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
  }

  #etcdCommand(peerAddress: string): string[] {
    const data = ["--data-dir", path.join(this.folder, "etcd"), "--log-level", "error"];
    return ["etcd", ...data, ...etcdArguments(`http://${(this.parts.get("etcd") as Part).address}`, `http://${peerAddress}`)];
  }

  /** Starts a part; resolves when it serves. */
  async begin(p: Part, ...flags: string[]): Promise<void> {
    const { command, env } = p.command();
    const clock = { LD_PRELOAD: nativeBin("marllb-clock-jump.so"), MARLLB_CLOCK_FILE: this.#clockFile(p, 0) };
    p.child = new Child([...command, ...flags], { env: { ...process.env, ...clock, ...env } });
    if (p.kind !== "etcd") await p.child.line(START_MS);
    else await eventually("etcd is healthy", async () => (await fetch(`http://${p.address}/health`).catch(() => null))?.ok);
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

  /** A part's wall clock is `seconds` off from now on. etcd reads its own clock past the C library: it does not see this. */
  jumpClock(p: Part, seconds: number): void {
    this.#clockFile(p, seconds);
  }

  /** A second data plane takes the listeners over; the first one drains and ends by itself. */
  async takeOver(p: Part): Promise<void> {
    if (p.child) this.#draining.push(p.child);
    await this.begin(p, "--takeover");
  }

  signal(p: Part, signal: NodeJS.Signals): void {
    p.child?.process.kill(signal);
  }

  async stop(): Promise<void> {
    for (const p of this.parts.values()) this.signal(p, "SIGCONT");
    const order: Kind[] = ["shm-agent", "inference", "failover", "health", "dataplane", "etcd"];
    for (const child of this.#draining) await child.stop();
    for (const kind of order) await Promise.all(this.of(kind).map((p) => p.child?.stop()));
    for (const l of this.links) await l.close();
    rmSync(this.folder, { recursive: true, force: true });
    for (const n of [1, 2]) rmSync(path.join("/dev/shm", `${path.basename(this.folder)}-${n}`), { force: true });
  }
}

const freeAddress = async (): Promise<string> => `127.0.0.1:${await freePort()}`;
