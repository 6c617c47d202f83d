// SPDX-License-Identifier: Apache-2.0
// An operator who orders all the time, at whichever failover replica is at hand, and remembers what was answered.
import * as grpc from "@grpc/grpc-js";
import type { GetPoolResponse__Output } from "../../gen/marllb/v1/GetPoolResponse.js";
import { v1 } from "../../services/common/grpc/protos.js";
import type { Random } from "../demo/random.js";
import { type Fate, Register } from "./orders.js";
import type { Part } from "./site.js";

type Client = InstanceType<typeof v1.Failover>;

const DEADLINE_MS = 3000;
const VIP = { name: "web" };
/** So many servers are left alone, so that there is always one to serve. */
const SPARED = 2;
const NO_OVERRIDE = "none";

/** What a replica said and thereby promised not to have done; else its fate is not known. */
const REFUSED: readonly number[] = [
  grpc.status.INVALID_ARGUMENT,
  grpc.status.FAILED_PRECONDITION,
  grpc.status.NOT_FOUND,
  grpc.status.UNIMPLEMENTED,
];

export class Operator {
  readonly #clients = new Map<string, Client>();
  readonly #drains = new Map<string, Register>();
  readonly #override = new Register(NO_OVERRIDE);
  readonly #underWay = new Set<Promise<void>>();
  #number = 0;
  #stopped = true;

  constructor(
    readonly replicas: readonly Part[],
    readonly servers: readonly string[],
    readonly random: Random,
    /** Answers by their code. */
    private readonly counts: Map<string, number>,
  ) {
    for (const r of replicas) this.#clients.set(r.name, new v1.Failover(r.address, grpc.credentials.createInsecure()));
    for (const s of servers.slice(SPARED)) this.#drains.set(s, new Register("up"));
  }

  #client(): Client {
    const all = [...this.#clients.values()];
    return all[Math.floor(this.random() * all.length)] as Client;
  }

  /** Orders every so many milliseconds until `pause`. */
  async work(everyMs: number): Promise<void> {
    this.#stopped = false;
    while (!this.#stopped) {
      const order = this.#order().finally(() => this.#underWay.delete(order));
      this.#underWay.add(order);
      await new Promise((r) => setTimeout(r, everyMs));
    }
  }

  /** No more orders; resolves when each was answered or given up. */
  async pause(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#underWay);
  }

  async #order(): Promise<void> {
    const targets = [...this.#drains.keys()];
    const k = Math.floor(this.random() * (targets.length + 1));
    const address = targets[k];
    const client = this.#client();
    const options = { deadline: Date.now() + DEADLINE_MS };
    if (address !== undefined) {
      const down = this.random() < 0.5;
      const say = (this.#drains.get(address) as Register).ask(down ? "drained" : "up", performance.now());
      const request = { ...VIP, address, reason: "chaos" };
      await this.#settle(say, (end) => (down ? client.Drain(request, options, end) : client.Undrain(request, options, end)));
    } else if (this.random() < 0.4) {
      const say = this.#override.ask(NO_OVERRIDE, performance.now());
      await this.#settle(say, (end) => client.ClearOverride(VIP, options, end));
    } else {
      const reason = `chaos ${++this.#number}`;
      const say = this.#override.ask(reason, performance.now());
      const weights = this.servers.map((s) => ({ address: s, weight: 1 + Math.floor(this.random() * 9) }));
      await this.#settle(say, (end) => client.SetOverride({ ...VIP, weights, reason }, options, end));
    }
  }

  async #settle(
    say: (fate: Fate, now: number) => void,
    call: (end: (e: grpc.ServiceError | null) => void) => void,
  ): Promise<void> {
    const e = await new Promise<grpc.ServiceError | null>((resolve) => call(resolve));
    const fate: Fate = e === null ? "ok" : REFUSED.includes(e.code) ? "refused" : "unknown";
    say(fate, performance.now());
    const what = e === null ? "ok" : (grpc.status[e.code] ?? String(e.code));
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #pool(replica: Part): Promise<GetPoolResponse__Output> {
    return new Promise((resolve, reject) => {
      const client = this.#clients.get(replica.name) as Client;
      client.GetPool(VIP, { deadline: Date.now() + DEADLINE_MS }, (e, r) => (e || !r ? reject(e) : resolve(r)));
    });
  }

  /** What all replicas say is in force; null while they differ. */
  async agreed(): Promise<{ drained: Set<string>; override: string } | null> {
    const pools = await Promise.all(this.replicas.map((r) => this.#pool(r)));
    const [first, ...others] = pools.map((p) => ({
      drained: p.members.flatMap((m) => (m.server?.drain ? [m.server.address] : [])).sort(),
      override: p.override?.reason || NO_OVERRIDE,
    }));
    if (!first || others.some((o) => JSON.stringify(o) !== JSON.stringify(first))) return null;
    return { drained: new Set(first.drained), override: first.override };
  }

  /** What is in force and no order explains, with what would be. The history begins anew with what was seen. */
  judge(seen: { drained: Set<string>; override: string }): string[] {
    const now = performance.now();
    const wrong: string[] = [];
    for (const [address, register] of this.#drains) {
      const value = seen.drained.has(address) ? "drained" : "up";
      const possible = [...register.possible()];
      if (!register.seen(value, now)) wrong.push(`${address} is ${value}; ordered: ${possible.join(" or ")}`);
    }
    const possible = [...this.#override.possible()];
    if (!this.#override.seen(seen.override, now)) wrong.push(`override is ${seen.override}; ordered: ${possible.join(" or ")}`);
    return wrong;
  }

  close(): void {
    for (const c of this.#clients.values()) c.close();
  }
}
