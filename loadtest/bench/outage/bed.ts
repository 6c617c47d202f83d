// SPDX-License-Identifier: Apache-2.0
// Load balancer, origins that fail on demand, and clients that come at a steady rate and remember what became of each.
import net from "node:net";
import path from "node:path";
import { projectRoot } from "../../../services/common/root.js";
import { controlText } from "../../../testbed/control.js";
import { Child } from "../../../testbed/process.js";
import { Stack, type StackOptions } from "../../../testbed/stack.js";
import { sleep } from "../../../testbed/wait.js";

export class Origin {
  private constructor(
    readonly child: Child,
    readonly address: string,
  ) {}

  static async start(backlog = 511): Promise<Origin> {
    const child = new Child([process.execPath, path.join(projectRoot, "dist/loadtest/bench/outage/origin.js"), String(backlog)]);
    return new Origin(child, `127.0.0.1:${await child.line(30_000)}`);
  }

  async order(what: "close" | "open" | "quick" | "well"): Promise<void> {
    this.child.process.stdin?.write(`${what}\n`);
    await this.child.line(10_000);
  }

  stopped(): void {
    this.child.process.kill("SIGSTOP");
  }

  continued(): void {
    this.child.process.kill("SIGCONT");
  }

  async end(): Promise<void> {
    this.continued();
    await this.child.stop();
  }
}

/** Cumulative counts of one server, of marllb-dp's own statistics. */
export interface Counts {
  newFlows: number;
  refusals: number;
  unanswered: number;
  ejections: number;
}

export class Bed {
  readonly clients = { asked: 0, failed: 0 };
  #timer: NodeJS.Timeout | undefined;
  #paused = false;
  #open = 0;

  private constructor(
    readonly origins: readonly Origin[],
    readonly stack: Stack,
  ) {}

  static async start(count: number, whole: boolean, options: Partial<StackOptions> & { backlog?: number } = {}): Promise<Bed> {
    const { backlog, ...rest } = options;
    const origins: Origin[] = [];
    for (let i = 0; i < count; i++) origins.push(await Origin.start(backlog));
    const o = { ...rest, servers: origins.map((x) => ({ address: x.address })) };
    return new Bed(origins, whole ? await Stack.whole(o) : await Stack.dataPlane(o));
  }

  /** Only its questions, over a stack that somebody else runs. */
  static over(stack: Stack): Bed {
    return new Bed([], stack);
  }

  /** `perS` connections a second until `quiet`. */
  load(perS: number): void {
    this.#timer = setInterval(() => this.#paused || this.ask(), 1000 / perS);
  }

  async quiet(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#open > 0) await sleep(10);
  }

  /** While no connection is under way: one that a server has taken and then resets is lost with any layer-4 load balancer. */
  async between(fn: () => Promise<void>): Promise<void> {
    this.#paused = true;
    try {
      while (this.#open > 0) await sleep(1);
      await fn();
    } finally {
      this.#paused = false;
    }
  }

  /** One client; resolves to milliseconds, and whether it was served. */
  ask(timeoutMs = 10_000): Promise<{ ms: number; served: boolean }> {
    const at = this.stack.vip.lastIndexOf(":");
    const from = performance.now();
    this.clients.asked++;
    this.#open++;
    return new Promise((resolve) => {
      const s = net.connect({ host: this.stack.vip.slice(0, at), port: Number(this.stack.vip.slice(at + 1)), noDelay: true });
      let text = "";
      s.setTimeout(timeoutMs, () => s.destroy());
      s.on("connect", () => s.write("x"));
      s.setEncoding("utf8").on("data", (t: string) => (text += t));
      s.on("error", () => {});
      s.on("close", () => {
        this.#open--;
        const served = text === "ok";
        if (!served) this.clients.failed++;
        resolve({ ms: performance.now() - from, served });
      });
    });
  }

  async counts(of: Origin): Promise<Counts> {
    return (await this.all()).get(of.address) as Counts;
  }

  async all(): Promise<Map<string, Counts>> {
    const text = await controlText(this.stack.controlSocket, "show stats json");
    const stats = JSON.parse(text.split("\n")[0] as string) as { vips: { servers: (Counts & { address: string })[] }[] };
    return new Map((stats.vips[0]?.servers ?? []).map((s) => [s.address, s]));
  }

  async stop(): Promise<void> {
    await this.quiet();
    for (const o of this.origins) o.continued();
    await this.stack.stop();
    for (const o of this.origins) await o.end();
  }
}
