// SPDX-License-Identifier: Apache-2.0
// A whole marllb on this machine for tests and benchmarks: marllb-dp and the four services as separate processes, ports and
// files of their own, each startable and killable by itself.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { stringify } from "yaml";
import { control } from "./control.js";
import { dpConfig } from "./dp-config.js";
import { Child, freePort, nativeBin, START_MS } from "./process.js";
import { type ServiceFolder, serviceCommand } from "./service.js";

export type Part = "dataplane" | ServiceFolder;
export const services: readonly ServiceFolder[] = ["failover", "health", "inference", "shm-agent"];

export interface StackServer {
  address: string;
  weight?: number;
}

export interface StackOptions {
  servers: readonly StackServer[];
  policy?: string;
  mode?: string;
  tickMs?: number;
  threads?: number;
  trust?: string | number;
  /** Added to the VIP of the configuration. */
  vip?: Record<string, unknown>;
  /** Changes of the configuration, key by key within a section. */
  config?: Record<string, unknown>;
  /** Added to the services' environment. */
  env?: NodeJS.ProcessEnv;
  /** marllb-dp has a supervisor, which holds its listeners. */
  supervise?: boolean;
  /** Lines added to marllb-dp's file. */
  lines?: readonly string[];
  /** Services that run elsewhere, by address: this stack's agent dials those. */
  peers?: { [service in Exclude<ServiceFolder, "shm-agent">]?: string };
}

const isSection = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);

export class Stack {
  readonly folder = mkdtempSync(path.join(os.tmpdir(), "marllb-stack-"));
  readonly region = path.join("/dev/shm", `${path.basename(this.folder)}`);
  readonly parts = new Map<Part, Child>();
  private readonly grpc = new Map<ServiceFolder, string>();
  readonly metrics = new Map<ServiceFolder, string>();
  vip = "";
  /** Of marllb-dp itself, where it has a supervisor. */
  servingPid = 0;
  #draining: Child[] = [];

  private constructor(readonly options: StackOptions) {}

  /** Only the data plane: weights as configured. */
  static async dataPlane(options: StackOptions): Promise<Stack> {
    const s = new Stack(options);
    await s.prepare();
    return s.starting(["dataplane"]);
  }

  static async whole(options: StackOptions): Promise<Stack> {
    const s = await Stack.dataPlane(options);
    return s.starting(services);
  }

  private async starting(parts: readonly Part[]): Promise<Stack> {
    try {
      for (const part of parts) await this.start(part);
      return this;
    } catch (e) {
      await this.stop();
      throw e;
    }
  }

  private async prepare(): Promise<void> {
    const o = this.options;
    this.vip = `127.0.0.1:${await freePort()}`;
    const tick = o.tickMs ?? 200;
    const section: Record<string, unknown> = {};
    for (const part of services) {
      const elsewhere = part === "shm-agent" ? undefined : o.peers?.[part];
      const listen = `127.0.0.1:${await freePort()}`;
      this.grpc.set(part, elsewhere ?? listen);
      this.metrics.set(part, `127.0.0.1:${await freePort()}`);
      const address = elsewhere === undefined ? {} : { address: elsewhere };
      section[part.replace("-", "_")] = { listen, ...address, metrics: this.metrics.get(part) };
    }
    const servers = o.servers.map((s) => ({ address: s.address, weight: s.weight ?? 1 }));
    const vip = {
      name: "web",
      address: this.vip,
      mode: o.mode ?? "sed",
      policy: o.policy ?? "kalman",
      trust: o.trust ?? "hint",
      servers,
      ...o.vip,
    };
    const config: Record<string, unknown> = {
      instance: this.instance,
      region: { path: this.region },
      tick_ms: tick,
      vips: [vip],
      services: section,
      failover: { store: { kind: "file", path: path.join(this.folder, "failover") } },
      log: { level: "warn" },
    };
    for (const [key, value] of Object.entries(o.config ?? {}))
      config[key] = isSection(value) && isSection(config[key]) ? { ...config[key], ...value } : value;
    writeFileSync(path.join(this.folder, "marllb.yaml"), stringify(config));
    writeFileSync(
      path.join(this.folder, "dp.conf"),
      dpConfig({
        region: this.region,
        control: this.controlSocket,
        instance: this.instance,
        threads: o.threads ?? 1,
        frameMs: Math.max(5, tick / 2),
        vip: { name: "web", address: this.vip, options: `mode ${vip.mode}` },
        servers: servers.map((s) => `${s.address} weight ${s.weight}`),
        ...(o.lines && { lines: o.lines }),
      }),
    );
  }

  get controlSocket(): string {
    return path.join(this.folder, "dp.ctl");
  }

  /** One line to the data plane's control socket; its answer without `ok`. */
  control(line: string): Promise<string> {
    return control(this.controlSocket, line);
  }

  /** gRPC address of a service. */
  at(part: ServiceFolder): string {
    return this.grpc.get(part) as string;
  }

  /** The page of metrics of a service. */
  async scrape(part: ServiceFolder): Promise<string> {
    return (await fetch(`http://${this.metrics.get(part)}/metrics`)).text();
  }

  /** What a server answers through the VIP, on a connection of its own. */
  async get(url = "/"): Promise<string> {
    return (await fetch(`http://${this.vip}${url}`, { headers: { connection: "close" } })).text();
  }

  /** The instance's name, as in frames. */
  get instance(): string {
    return path
      .basename(this.folder)
      .slice(-20)
      .replace(/^[^A-Za-z0-9]/, "s");
  }

  #dataPlane(...flags: string[]): Child {
    const own = ["--stop-with-stdin", ...(this.options.supervise ? ["--supervise"] : [])];
    return new Child([nativeBin("marllb-dp"), "--config", path.join(this.folder, "dp.conf"), ...own, ...flags]);
  }

  /** A second data plane takes the listeners over; the first one drains and ends by itself. */
  async takeOver(): Promise<Child> {
    const old = this.parts.get("dataplane");
    const child = this.#dataPlane("--takeover");
    await child.line(START_MS);
    this.parts.set("dataplane", child);
    if (old) this.#draining.push(old);
    return child;
  }

  async start(part: Part): Promise<Child> {
    const child = part === "dataplane" ? this.#dataPlane() : this.spawnService(part);
    this.parts.set(part, child);
    const ready = JSON.parse(await child.line(START_MS)) as { pid: number };
    if (part === "dataplane") this.servingPid = ready.pid;
    return child;
  }

  /** SIGKILL to the data plane under its supervisor; resolves when the next one serves. */
  async killServing(): Promise<void> {
    const supervisor = this.parts.get("dataplane") as Child;
    process.kill(this.servingPid, "SIGKILL");
    for (let ready = false; !ready; ) {
      const line = JSON.parse(await supervisor.line(START_MS)) as { ready: boolean; pid: number };
      ready = line.ready;
      if (ready) this.servingPid = line.pid;
    }
  }

  /** A service on this stack's configuration, not waited for. */
  spawnService(part: ServiceFolder, flags: readonly string[] = []): Child {
    const config = path.join(this.folder, "marllb.yaml");
    return new Child(serviceCommand(part, ["--config", config, "--stop-with-stdin", ...flags]), {
      env: { ...process.env, NODE_OPTIONS: "", ...this.options.env },
    });
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(part: Part): Promise<void> {
    const child = this.parts.get(part);
    child?.process.kill("SIGKILL");
    await child?.exited;
  }

  async stop(): Promise<void> {
    for (const old of this.#draining) await old.stop();
    // Clients before servers, the data plane last.
    for (const part of ["shm-agent", "inference", "failover", "health", "dataplane"] as const) await this.parts.get(part)?.stop();
    rmSync(this.folder, { recursive: true, force: true });
    for (const f of [this.region, `${this.region}.order`]) rmSync(f, { force: true });
  }
}
