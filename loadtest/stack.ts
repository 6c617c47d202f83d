// SPDX-License-Identifier: Apache-2.0
// A whole marllb on this machine for benchmarks and fault tests: marllb-dp and the four services as separate processes, ports and
// files of their own, each startable and killable by itself.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { stringify } from "yaml";
import { NODE_ARGS } from "../services/common/node-args.js";
import { projectRoot } from "../services/common/root.js";
import { Child, freePort, nativeBin } from "./process.js";

/** A machine that is busy with ten other things starts a process in this time all the same. */
const START_MS = 90_000;

export type Part = "dataplane" | "shm-agent" | "inference" | "health" | "failover";
export const services: readonly Part[] = ["failover", "health", "inference", "shm-agent"];

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
  /** Deep changes of the configuration, by section. */
  config?: Record<string, unknown>;
  /** Lines added to marllb-dp's file. */
  lines?: readonly string[];
}

export class Stack {
  readonly folder = mkdtempSync(path.join(os.tmpdir(), "marllb-stack-"));
  readonly region = path.join("/dev/shm", `${path.basename(this.folder)}`);
  readonly parts = new Map<Part, Child>();
  readonly grpc = new Map<Part, string>();
  readonly metrics = new Map<Part, string>();
  vip = "";
  #draining: Child[] = [];

  private constructor(readonly options: StackOptions) {}

  /** Only the data plane: weights as configured. */
  static async dataPlane(options: StackOptions): Promise<Stack> {
    const s = new Stack(options);
    await s.prepare();
    await s.start("dataplane");
    return s;
  }

  static async whole(options: StackOptions): Promise<Stack> {
    const s = await Stack.dataPlane(options);
    for (const part of services) await s.start(part);
    return s;
  }

  private async prepare(): Promise<void> {
    const o = this.options;
    this.vip = `127.0.0.1:${await freePort()}`;
    const tick = o.tickMs ?? 200;
    const section: Record<string, unknown> = {};
    for (const part of services) {
      this.grpc.set(part, `127.0.0.1:${await freePort()}`);
      this.metrics.set(part, `127.0.0.1:${await freePort()}`);
      section[part.replace("-", "_")] = { listen: this.grpc.get(part), metrics: this.metrics.get(part) };
    }
    const servers = o.servers.map((s) => ({ address: s.address, weight: s.weight ?? 1 }));
    const vip = {
      name: "web",
      address: this.vip,
      mode: o.mode ?? "sed",
      policy: o.policy ?? "kalman",
      trust: o.trust ?? "hint",
      servers,
    };
    const config = {
      instance: this.instance,
      region: { path: this.region },
      tick_ms: tick,
      vips: [vip],
      services: section,
      failover: { store: { kind: "file", path: path.join(this.folder, "failover.json") } },
      log: { level: "warn" },
      ...o.config,
    };
    writeFileSync(path.join(this.folder, "marllb.yaml"), stringify(config));
    writeFileSync(
      path.join(this.folder, "dp.conf"),
      [
        `instance ${config.instance}`,
        `shm ${this.region}`,
        `control ${this.control}`,
        `threads ${o.threads ?? 1}`,
        `frame ${Math.max(5, tick / 2)}ms`,
        ...(o.lines ?? []),
        `vip web ${this.vip} mode ${vip.mode}`,
        ...servers.map((s) => `server vip web ${s.address} weight ${s.weight}`),
        "",
      ].join("\n"),
    );
  }

  get control(): string {
    return path.join(this.folder, "dp.ctl");
  }

  /** The instance's name, as in frames. */
  get instance(): string {
    return path
      .basename(this.folder)
      .slice(-20)
      .replace(/^[^A-Za-z0-9]/, "s");
  }

  #dataPlane(...flags: string[]): Child {
    return new Child([nativeBin("marllb-dp"), "--config", path.join(this.folder, "dp.conf"), "--stop-with-stdin", ...flags]);
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
    await child.line(START_MS);
    return child;
  }

  /** A service on this stack's configuration, not waited for. */
  spawnService(part: Part, flags: readonly string[] = []): Child {
    const main = path.join(projectRoot, `dist/services/${part}/main.js`);
    const config = path.join(this.folder, "marllb.yaml");
    return new Child([process.execPath, ...NODE_ARGS, main, "--config", config, "--stop-with-stdin", ...flags], {
      env: { ...process.env, NODE_OPTIONS: "" },
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
    rmSync(this.region, { force: true });
  }
}
