// SPDX-License-Identifier: Apache-2.0
// kill -9 of a real failover at every point of its file store's writes: each life takes orders until it dies in the middle of one; the next
// life must know every order that was answered OK, and of the last one either all or nothing.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import * as grpc from "@grpc/grpc-js";
import type { GetPoolResponse__Output } from "../../../gen/marllb/v1/GetPoolResponse.js";
import type { HistoryResponse__Output } from "../../../gen/marllb/v1/HistoryResponse.js";
import { v1 } from "../../../services/common/grpc/protos.js";
import { projectRoot } from "../../../services/common/root.js";
import { Child, START_MS } from "../../../testbed/process.js";
import { serviceCommand } from "../../../testbed/service.js";
import { eventually } from "../../../testbed/wait.js";

type Client = InstanceType<typeof v1.Failover>;

/** Points of one order: open, write, sync, close, rename, and the folder's. The first order of all has its mkdir beside. */
export const POINTS_AN_ORDER = 17;
const SERVERS = 64;
const VIP = { vip_id: 0, name: "web" };
const ANSWER_MS = 60_000;
const address = (i: number): string => `10.0.0.${i + 1}:80`;

export interface KillPoints {
  killed: number;
  orders: number;
  lost: string[];
}

interface Wanted {
  drained: Set<number>;
  policy: string;
}

type Order = { kind: "drain" | "undrain"; server: number } | { kind: "policy"; name: string };

const POLICIES = ["uniform", "static", "kalman", ""];

/** Orders that each change something, so that each writes. */
function nextOrder(w: Wanted, n: number): Order {
  const server = (n * 7) % SERVERS;
  if (n % 5 === 4) return { kind: "policy", name: POLICIES[(POLICIES.indexOf(w.policy) + 1) % POLICIES.length] as string };
  return { kind: w.drained.has(server) ? "undrain" : "drain", server };
}

function after(w: Wanted, o: Order): Wanted {
  if (o.kind === "policy") return { ...w, policy: o.name };
  const drained = new Set(w.drained);
  if (o.kind === "drain") drained.add(o.server);
  else drained.delete(o.server);
  return { ...w, drained };
}

const textOf = (w: Wanted): string => `${[...w.drained].sort((a, b) => a - b).join(",")} ${w.policy}`;

function give(client: Client, o: Order, reason: string): Promise<grpc.ServiceError | null> {
  const options = { deadline: Date.now() + ANSWER_MS };
  return new Promise((resolve) => {
    if (o.kind === "policy") client.SetPolicy({ ...VIP, policy: o.name, reason }, options, (e) => resolve(e));
    else {
      const request = { ...VIP, address: address(o.server), reason };
      if (o.kind === "drain") client.Drain(request, options, (e) => resolve(e));
      else client.Undrain(request, options, (e) => resolve(e));
    }
  });
}

const pool = (client: Client): Promise<GetPoolResponse__Output> =>
  new Promise((resolve, reject) =>
    client.GetPool(VIP, { deadline: Date.now() + ANSWER_MS }, (e, r) => (e || !r ? reject(e) : resolve(r))),
  );
const history = (client: Client, limit: number): Promise<HistoryResponse__Output> =>
  new Promise((resolve, reject) =>
    client.History({ ...VIP, limit }, { deadline: Date.now() + ANSWER_MS }, (e, r) => (e || !r ? reject(e) : resolve(r))),
  );

class Lives {
  readonly folder = mkdtempSync(path.join(os.tmpdir(), "marllb-kill-"));
  readonly store = path.join(this.folder, "failover");
  readonly result: KillPoints = { killed: 0, orders: 0, lost: [] };
  private wanted: Wanted = { drained: new Set(), policy: "" };
  private underWay: { order: Order; reason: string } | null = null;
  private readonly taken: string[] = [];
  private number = 0;

  constructor() {
    mkdirSync(this.folder, { recursive: true });
    const servers = Array.from({ length: SERVERS }, (_, i) => ({ address: address(i) }));
    const config = {
      vips: [{ name: "web", address: "127.0.0.1:8080", servers }],
      failover: { store: { kind: "file", path: this.store } },
      log: { level: "error" },
    };
    writeFileSync(path.join(this.folder, "marllb.yaml"), JSON.stringify(config));
  }

  /** One life that ends at its `at`th point. */
  async live(at: number): Promise<void> {
    const [node = "", ...rest] = serviceCommand("failover", [
      "--config",
      path.join(this.folder, "marllb.yaml"),
      ...["--port", "0", "--metrics-port", "0", "--stop-with-stdin"],
    ]);
    const preload = ["--import", path.join(projectRoot, "dist/testbed/kill-at.js")];
    const env = { ...process.env, NODE_OPTIONS: "", MARLLB_KILL_AT: String(at), MARLLB_KILL_FOLDER: this.store };
    const child = new Child([node, ...preload, ...rest], { env });
    const ready = JSON.parse(await child.line(START_MS)) as { grpc: string };
    const client = new v1.Failover(ready.grpc, grpc.credentials.createInsecure());
    try {
      await this.look(client);
      await this.order(client, child);
      if ((await child.exited) !== null || child.process.signalCode !== "SIGKILL")
        throw new Error(`failover ended by itself: ${child.stderr}`);
      this.result.killed++;
    } finally {
      client.close();
      await child.stop();
    }
  }

  /** Begins one more life and looks. */
  async last(): Promise<void> {
    await this.live(1);
    rmSync(this.folder, { recursive: true });
  }

  private async order(client: Client, child: Child): Promise<void> {
    while (!child.ended) {
      const order = nextOrder(this.wanted, this.number);
      const reason = `order ${this.number++}`;
      this.underWay = { order, reason };
      const e = await give(client, order, reason);
      if (e !== null) {
        if (!child.ended && e.code !== grpc.status.UNAVAILABLE && e.code !== grpc.status.INTERNAL) throw e;
        return;
      }
      this.take();
      this.result.orders++;
    }
  }

  private take(): void {
    if (!this.underWay) return;
    this.wanted = after(this.wanted, this.underWay.order);
    this.taken.push(this.underWay.reason);
    this.underWay = null;
  }

  /** What this life knows, against what was answered. */
  private async look(client: Client): Promise<void> {
    // It serves while it reads its store, and says that it does not know yet.
    const p = await eventually("the store is read", async () => {
      const now = await pool(client);
      return now.stale === "" && now;
    });
    const drained = new Set(p.members.flatMap((m, i) => (m.holds.length > 0 ? [i] : [])));
    const seen = textOf({ drained, policy: p.policy?.name ?? "" });
    const kept = (await history(client, 30)).changes.map((c) => c.reason).reverse();
    // The order that the last life died in: all of it, or nothing.
    if (this.underWay && kept.at(-1) === this.underWay.reason) this.take();
    this.underWay = null;
    const wrong = (what: string): void => void this.result.lost.push(`life ${this.result.killed}: ${what}`);
    if (seen !== textOf(this.wanted)) wrong(`state is ${seen}, expected ${textOf(this.wanted)}`);
    const expected = this.taken.slice(-kept.length);
    if (kept.length < Math.min(30, this.taken.length) || kept.join() !== expected.join())
      wrong(`history is ${kept.join()}, expected ${expected.join()}`);
    for (const f of oddFiles(this.store)) wrong(`${f} was set aside`);
  }
}

/** Files that no life should leave: a record that was set aside. */
function oddFiles(store: string): string[] {
  try {
    return readdirSync(store).filter((f) => f.endsWith(".bad"));
  } catch {
    return []; // the first life has not made it
  }
}

/** So many lives, each killed at another point; `lanes` stores at once. */
export async function killPoints(points: number, lanes: number, progress: (text: string) => void): Promise<KillPoints> {
  let next = 0;
  const results = await Promise.all(
    Array.from({ length: lanes }, async () => {
      const lives = new Lives();
      while (next < points) {
        const n = next++;
        // In turn every point of the first, the second and the third order of a life.
        await lives.live(1 + (n % (3 * POINTS_AN_ORDER)));
        if (n % 50 === 49) progress(`${n + 1} of ${points} kill points`);
      }
      await lives.last();
      return lives.result;
    }),
  );
  return {
    killed: results.reduce((n, r) => n + r.killed, 0),
    orders: results.reduce((n, r) => n + r.orders, 0),
    lost: results.flatMap((r) => r.lost),
  };
}
