// SPDX-License-Identifier: Apache-2.0
// The whole loop as its own processes on free ports: a data plane, real servers in this process, the four services.
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { projectRoot } from "../root.js";
import { type Started, scratch, start } from "./spawn.js";

let stacks = 0;

export interface StackOptions {
  servers: number;
  /** Lines of configuration beside the usual. */
  config?: string;
  policy?: string;
  tickMs?: number;
  env?: NodeJS.ProcessEnv;
}

export interface DataPlane {
  child: ChildProcess;
  vip: string;
}

export class Stack {
  readonly servers: Server[] = [];
  readonly addresses: string[] = [];
  dp!: DataPlane;
  inference!: Started;
  health!: Started;
  failover!: Started;
  agent!: Started;
  readonly region: string;
  private readonly files = scratch();
  private configFile = "";
  private readonly started: ChildProcess[] = [];

  constructor(private readonly o: StackOptions) {
    this.region = `/dev/shm/marllb-test-${process.pid}-${stacks++}`;
  }

  /** The servers and the data plane alone. */
  async prepare(): Promise<void> {
    for (let i = 0; i < this.o.servers; i++) {
      const server = createServer((_, response) => response.end(`server ${i}\n`));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      this.servers.push(server);
      this.addresses.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    }
    const tick = this.o.tickMs ?? 200;
    this.configFile = this.files.config(`
instance: test-${process.pid}
region: { path: ${this.region} }
tick_ms: ${tick}
vips:
  - name: web
    address: 127.0.0.1:0
    policy: ${this.o.policy ?? "kalman"}
    servers: [${this.addresses.map((a) => `{ address: "${a}" }`).join(", ")}]
services:
  shm_agent: { listen: "127.0.0.1:0", metrics: "127.0.0.1:0" }
  inference: { listen: "127.0.0.1:0", metrics: "127.0.0.1:0" }
  health: { listen: "127.0.0.1:0", metrics: "127.0.0.1:0" }
  failover: { listen: "127.0.0.1:0", metrics: "127.0.0.1:0" }
failover: { store: { kind: file, path: ${join(this.files.dir, "failover.json")} }, slow_start_ms: 300 }
health: { interval_ms: 100, timeout_ms: 100, rise: 1, fall: 2 }
log: { level: debug }
${this.o.config ?? ""}
`);
    await this.startDataPlane();
  }

  async up(): Promise<this> {
    await this.prepare();
    await this.startInference();
    await this.startHealth();
    await this.startFailover();
    await this.startAgent();
    return this;
  }

  /** An address that a service had and that is taken again, so that its peers find it after a restart. */
  private sets(): string[] {
    const at = (name: string, s: Started | undefined): string[] => (s ? [`services.${name}.address=${s.grpc}`] : []);
    return [...at("inference", this.inference), ...at("health", this.health), ...at("failover", this.failover)];
  }
  private async service(
    folder: "inference" | "health" | "failover" | "shm-agent",
    before: Started | undefined,
  ): Promise<Started> {
    const key = folder.replace("-", "_");
    const again = before ? [`services.${key}.listen=${before.grpc}`] : [];
    const s = await start(folder, this.configFile, [...this.sets(), ...again], this.o.env, before !== undefined);
    this.started.push(s.child);
    return s;
  }
  async startInference(): Promise<void> {
    this.inference = await this.service("inference", this.inference);
  }
  async startHealth(): Promise<void> {
    this.health = await this.service("health", this.health);
  }
  async startFailover(): Promise<void> {
    this.failover = await this.service("failover", this.failover);
  }
  async startAgent(): Promise<void> {
    this.agent = await this.service("shm-agent", this.agent);
  }

  async startDataPlane(): Promise<void> {
    const args = ["--vip", `web ${this.dp?.vip ?? "127.0.0.1:0"}`, "--shm", this.region, "--threads", "2", "--stop-with-stdin"];
    args.push("--frame", `${(this.o.tickMs ?? 200) / 2}ms`, "--drain-timeout", "0ms");
    for (const a of this.addresses) args.push("--server", `vip web ${a}`);
    const child = spawn(join(projectRoot, "build/native/bin/marllb-dp"), args, { stdio: ["pipe", "pipe", "pipe"] });
    this.started.push(child);
    let stderr = "";
    child.stderr.on("data", (b: Buffer) => {
      stderr += b;
    });
    child.stdin.on("error", () => {});
    const vip = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const ready = JSON.parse(line) as { ready?: boolean; vips?: { address: string; port: number }[] };
        const at = ready.vips?.[0];
        if (ready.ready && at) resolve(`${at.address}:${at.port}`);
      });
      child.on("close", (code) => reject(new Error(`marllb-dp ended with ${code}: ${stderr}`)));
    });
    this.dp = { child, vip };
  }

  /** One command on the data plane's control socket. */
  control(command: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(`${this.region}.ctl`, () => socket.write(`${command}\n`));
      socket.setEncoding("utf8").on("data", (text: string) => {
        socket.destroy();
        if (text === "ok\n") resolve();
        else reject(new Error(text));
      });
      socket.on("error", reject);
    });
  }

  get(path = "/"): Promise<string> {
    return fetch(`http://${this.dp.vip}${path}`, { headers: { connection: "close" } }).then((r) => r.text());
  }

  async down(): Promise<void> {
    for (const child of this.started) child.kill("SIGKILL");
    for (const s of this.servers) {
      s.closeAllConnections();
      s.close();
    }
    this.files.remove();
    rmSync(this.region, { force: true });
    rmSync(`${this.region}.ctl`, { force: true });
  }
}

/** Waits for a condition, with a bound so wide that only a broken loop meets it. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | null | undefined | false>,
  withinMs = 60_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const v = await check();
    if (v !== null && v !== undefined && v !== false) return v;
    if (performance.now() > end) throw new Error(`did not happen within ${withinMs} ms: ${what}`);
    await new Promise((r) => setTimeout(r, 20));
  }
}
