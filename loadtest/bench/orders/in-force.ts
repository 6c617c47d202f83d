// SPDX-License-Identifier: Apache-2.0
// From an order that was answered OK to its being in force at every load balancer: with one failover, with a replica of three killed, and
// what becomes of orders while etcd is away.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import * as grpc from "@grpc/grpc-js";
import { ask } from "../../../services/common/grpc/ask.js";
import { v1 } from "../../../services/common/grpc/protos.js";
import type { Etcd } from "../../../testbed/etcd.js";
import { Child, freePort, START_MS } from "../../../testbed/process.js";
import { serviceCommand } from "../../../testbed/service.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually, sleep } from "../../../testbed/wait.js";

type Client = InstanceType<typeof v1.Failover>;
type Shown = { address: string; weight: number; factor: number }[];

export const TICK_MS = 200;
const LOAD_BALANCERS = 4;
const SERVERS = 8;
const POOL = { vip_id: 0, name: "web" };
const ANSWER_MS = 5000;
const LOOK_MS = 5;
const IN_FORCE_MS = 30_000;
/** Nobody listens there: checks are off, and orders need no servers that answer. */
const address = (i: number): string => `127.0.1.${i + 1}:9`;
const all = Array.from({ length: SERVERS }, (_, i) => address(i));

/** What an order does, and how its being in force looks at a data plane. */
interface Order {
  name: string;
  give(client: Client): Promise<unknown>;
  inForce(shown: Shown): boolean;
}

const factor = (shown: Shown, a: string): number => shown.find((s) => s.address === a)?.factor ?? -1;
const call =
  <K extends "Drain" | "Undrain" | "SetOverride" | "ClearOverride" | "ApplyPool">(method: K) =>
  (client: Client, request: object): Promise<unknown> =>
    ask(client, method, { ...POOL, reason: "bench", ...request } as never, ANSWER_MS);

export const drain = (i: number): Order => ({
  name: "drain",
  give: (c) => call("Drain")(c, { address: address(i) }),
  inForce: (shown) => factor(shown, address(i)) === 0,
});
export const undrain = (i: number): Order => ({
  name: "undrain",
  give: (c) => call("Undrain")(c, { address: address(i) }),
  inForce: (shown) => factor(shown, address(i)) > 0,
});
/** One server has half of the new flows, the others share the rest. */
const override = (i: number): Order => ({
  name: "override",
  give: (c) =>
    call("SetOverride")(c, {
      weights: all.map((a, k) => ({ address: a, weight: k === i ? SERVERS - 1 : 1 })),
      mode: "MODE_UNSPECIFIED",
    }),
  inForce: (shown) => Math.abs((shown.find((s) => s.address === address(i))?.weight ?? 0) - 0.5) < 0.01,
});
const noOverride: Order = {
  name: "end of override",
  give: (c) => call("ClearOverride")(c, {}),
  inForce: (shown) => shown.every((s) => s.weight < 0.4),
};
const pool = (servers: readonly string[]): Order => ({
  name: "pool",
  give: (c) => call("ApplyPool")(c, { pool: { ...POOL, servers: servers.map((a) => ({ address: a, weight: 1 })) } }),
  inForce: (shown) => [...new Set(shown.map((s) => s.address))].sort().join() === [...servers].sort().join(),
});

const taken = (o: Order, client: Client): Promise<boolean> =>
  o.give(client).then(
    () => true,
    () => false,
  );

/** Some load balancers that share one failover, or its replicas. */
export class Fleet {
  readonly stacks: Stack[] = [];
  readonly folder = mkdtempSync(path.join(os.tmpdir(), "marllb-orders-"));
  readonly replicas = new Map<string, Child>();
  readonly clients = new Map<string, Client>();

  /** `replicas` of failover with etcd; 0: one with a file. */
  static async start(replicas: number, etcd?: Etcd): Promise<Fleet> {
    const it = new Fleet();
    try {
      const servers = all.map((a) => ({ address: a }));
      // Slow starts would take their time after each order, by design.
      const config = { health: { kind: "none" }, failover: { slow_start_ms: 0 } };
      const first = await Stack.dataPlane({ servers, config });
      it.stacks.push(first);
      if (etcd) for (let i = 0; i < replicas; i++) await it.#replica(`127.0.0.1:${await freePort()}`, etcd, first);
      else {
        await first.start("failover");
        it.#client(first.at("failover"));
      }
      for (const part of ["health", "inference"] as const) await first.start(part);
      const failover = `ipv4:${[...it.clients.keys()].join(",")}`;
      const peers = { health: first.at("health"), inference: first.at("inference"), failover };
      for (let i = 0; i < LOAD_BALANCERS; i++) {
        const stack = await Stack.dataPlane({ servers, peers, config });
        it.stacks.push(stack);
        await stack.start("shm-agent");
      }
      await it.settled();
      return it;
    } catch (e) {
      await it.stop();
      throw e;
    }
  }

  get loadBalancers(): Stack[] {
    return this.stacks.slice(1);
  }

  get anyClient(): Client {
    return [...this.clients.values()][0] as Client;
  }

  /** Milliseconds until it is in force at every load balancer. */
  async inForce(o: Order): Promise<number> {
    const began = performance.now();
    const open = new Set(this.loadBalancers);
    while (open.size > 0) {
      await Promise.all(
        [...open].map(async (lb) => {
          if (o.inForce(await shownAt(lb))) open.delete(lb);
        }),
      );
      if (performance.now() - began > IN_FORCE_MS) throw new Error(`${o.name} is not in force at ${open.size} load balancers`);
      if (open.size > 0) await sleep(LOOK_MS);
    }
    return performance.now() - began;
  }

  /** Every load balancer is heard by the same orders. */
  async settled(): Promise<void> {
    for (const o of [drain(0), undrain(0)]) {
      await eventually(`${o.name} is taken`, () => taken(o, this.anyClient));
      await this.inForce(o);
    }
  }

  async begin(at: string): Promise<void> {
    const child = new Child(serviceCommand("failover", ["--config", this.#file(at), "--stop-with-stdin"]));
    this.replicas.set(at, child);
    await child.line(START_MS);
  }

  async stop(): Promise<void> {
    for (const c of this.clients.values()) c.close();
    for (const s of [...this.stacks].reverse()) await s.stop();
    for (const r of this.replicas.values()) await r.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #file(at: string): string {
    return path.join(this.folder, `${at}.json`);
  }

  async #replica(at: string, etcd: Etcd, first: Stack): Promise<void> {
    const config = {
      vips: [{ name: "web", address: "127.0.0.1:1", load_balancers: LOAD_BALANCERS, servers: all.map((a) => ({ address: a })) }],
      failover: { store: { kind: "etcd", endpoints: [etcd.endpoint] }, slow_start_ms: 0 },
      services: {
        failover: { listen: at, metrics: `127.0.0.1:${await freePort()}` },
        health: { listen: first.at("health"), metrics: `127.0.0.1:${await freePort()}` },
      },
      log: { level: "error" },
    };
    writeFileSync(this.#file(at), JSON.stringify(config));
    await this.begin(at);
    this.#client(at);
  }

  #client(at: string): void {
    this.clients.set(at, new v1.Failover(at, grpc.credentials.createInsecure()));
  }
}

async function shownAt(stack: Stack): Promise<Shown> {
  const { vips } = JSON.parse(await stack.control("show weights json")) as { vips: { servers: Shown }[] };
  return vips[0]?.servers ?? [];
}

/** Orders of each kind, one after the other: milliseconds from the answer to the last load balancer. */
export async function orderTimes(fleet: Fleet, rounds: number, progress: (text: string) => void): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>();
  const client = fleet.anyClient;
  for (let k = 0; k < rounds; k++) {
    const i = k % SERVERS;
    for (const o of [drain(i), undrain(i), override(i), noOverride, pool(all.slice(0, 1 + (k % (SERVERS - 1)))), pool(all)]) {
      await o.give(client);
      const ms = await fleet.inForce(o);
      times.set(o.name, [...(times.get(o.name) ?? []), ms]);
      // At no fixed phase of a tick.
      await sleep(Math.random() * TICK_MS);
    }
    progress(`round ${k + 1} of ${rounds}`);
  }
  return times;
}

/** Seconds from kill -9 of a replica to an order of a moment later in force everywhere. Each replica in turn. */
export async function killedTimes(fleet: Fleet, kills: number, progress: (text: string) => void): Promise<number[]> {
  const seconds: number[] = [];
  for (let k = 0; k < kills; k++) {
    const at = [...fleet.replicas.keys()][k % fleet.replicas.size] as string;
    const child = fleet.replicas.get(at) as Child;
    const other = [...fleet.clients].find(([a]) => a !== at)?.[1] as Client;
    child.process.kill("SIGKILL");
    const began = performance.now();
    await child.exited;
    const o = k % 2 === 0 ? drain(1) : undrain(1);
    await o.give(other);
    await fleet.inForce(o);
    seconds.push((performance.now() - began) / 1000);
    progress(`kill ${k + 1} of ${kills}: ${seconds.at(-1)?.toFixed(2)} s`);
    await fleet.begin(at);
    await sleep(2000);
  }
  return seconds;
}

export interface Away {
  /** Orders given while etcd was away, and those of them that were refused. */
  given: number;
  refused: number;
  /** Orders answered OK before, or not in force any more then or afterwards. */
  forgotten: string[];
}

/** etcd dies, comes back: what was answered OK stays in force, what comes meanwhile is refused. */
export async function etcdAway(fleet: Fleet, etcd: Etcd): Promise<Away> {
  const kept = [2, 3, 4].map(drain);
  for (const o of kept) await o.give(fleet.anyClient);
  for (const o of kept) await fleet.inForce(o);
  await etcd.kill();
  const clients = [...fleet.clients.values()];
  const answers = await Promise.all(clients.map((c, i) => taken(drain(5 + (i % 3)), c)));
  const forgotten: string[] = [];
  const look = async (when: string): Promise<void> => {
    for (const lb of fleet.loadBalancers) {
      const shown = await shownAt(lb);
      for (const [i, o] of kept.entries()) if (!o.inForce(shown)) forgotten.push(`${when}: ${address(2 + i)} at ${lb.instance}`);
    }
  };
  await look("while etcd was away");
  await etcd.again();
  await eventually("orders are taken again", () => taken(undrain(5), fleet.anyClient));
  await sleep(1000);
  await look("after etcd came back");
  return { given: answers.length, refused: answers.filter((ok) => !ok).length, forgotten };
}
