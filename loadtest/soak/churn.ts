// SPDX-License-Identifier: Apache-2.0
// What an operator and a bad night do to a running load balancer, drawn at random from a seed. Nothing here may cost a request on
// the VIP `web`: its first two servers are never touched.
import * as grpc from "@grpc/grpc-js";
import { v1 } from "../../services/common/grpc/protos.js";
import { modelsFolder, policyNames } from "../../services/common/policies.js";
import { MODE_WORDS } from "../../services/common/vocabulary.js";
import { controlText } from "../../testbed/control.js";
import { type Part, type Stack, services } from "../../testbed/stack.js";

export interface Spare {
  /** Origins that join and leave the VIP `web`. */
  web: readonly string[];
  /** Origins of the VIPs that come and go. */
  others: readonly string[];
}

const policies = policyNames(modelsFolder("models"));
const vips = 6;

export class Churn {
  readonly counts = new Map<string, number>();
  readonly refused = new Map<string, string>();
  readonly #pick: () => number;

  constructor(
    readonly stack: Stack,
    readonly spare: Spare,
    random: () => number,
  ) {
    this.#pick = random;
  }

  #one<T>(list: readonly T[]): T {
    return list[Math.floor(this.#pick() * list.length)] as T;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** One change that an operator makes. */
  async change(): Promise<void> {
    const changes: (() => Promise<void>)[] = [
      () => this.#vip(),
      () => this.#vip(),
      () => this.#server(),
      () => this.#server(),
      () => this.#line("mode", `set-mode vip web ${this.#one(MODE_WORDS)}`),
      () => this.#push(),
      () => this.#policy(),
      () => this.#line("show", "show stats json"),
    ];
    await this.#one(changes)();
  }

  /** kill -9 of a service, which then starts again. */
  async killService(): Promise<void> {
    const part: Part = this.#one(services);
    this.#count(`kill ${part}`);
    await this.stack.kill(part);
    await this.stack.start(part);
  }

  async takeOver(): Promise<void> {
    this.#count("takeover");
    await this.stack.takeOver();
  }

  /** A line for the control socket. Errors are answers: a VIP may be there already, a pool may be full of servers that drain. */
  async #line(what: string, line: string): Promise<void> {
    this.#count(what);
    const answer = await controlText(this.stack.controlSocket, line);
    const error = /^error: (.*)$/m.exec(answer);
    if (error) this.refused.set(what, `${line}: ${error[1]}`);
  }

  async #vip(): Promise<void> {
    const name = `churn${Math.floor(this.#pick() * vips)}`;
    if (this.#pick() < 0.5) return this.#line("no vip", `no vip ${name}`);
    await this.#line("vip", `vip ${name} 127.0.0.1:0 mode ${this.#one(MODE_WORDS)}`);
    const servers = this.spare.others.filter(() => this.#pick() < 0.7);
    if (servers.length > 0) await this.#line("set-servers", `set-servers vip ${name} ${servers.join(" ")}`);
  }

  async #server(): Promise<void> {
    const server = this.#one(this.spare.web);
    const lines = [
      `server vip web ${server} weight ${1 + Math.floor(this.#pick() * 4)}`,
      `no server vip web ${server}`,
      `drain vip web ${server}`,
      `undrain vip web ${server}`,
    ];
    await this.#line("server", this.#one(lines));
  }

  async #push(): Promise<void> {
    this.#count("push");
    const client = new v1.ShmAgent(this.stack.at("shm-agent"), grpc.credentials.createInsecure());
    const failed = (e: Error): void => void this.refused.set("push", e.message);
    await new Promise<void>((resolve) => {
      const deadline = Date.now() + 2000;
      client.GetWeights({ vip_id: 1 }, { deadline }, (e, now) => {
        if (e) {
          failed(e);
          resolve();
          return;
        }
        const weights = (now?.weights ?? []).map((w) => ({ server_id: w.server_id, weight: this.#pick() }));
        client.PushWeights({ vip_id: 1, weights, hold_ms: 500 }, { deadline }, (e2) => {
          if (e2) failed(e2);
          resolve();
        });
      });
    });
    client.close();
  }

  async #policy(): Promise<void> {
    this.#count("policy");
    const client = new v1.Failover(this.stack.at("failover"), grpc.credentials.createInsecure());
    const request = { vip_id: 1, policy: this.#one(policies), reason: "churn" };
    await new Promise<void>((resolve) => {
      client.SetPolicy(request, { deadline: Date.now() + 2000 }, (e) => {
        if (e) this.refused.set("policy", e.message);
        resolve();
      });
    });
    client.close();
  }
}
