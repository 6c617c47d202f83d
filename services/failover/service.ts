// SPDX-License-Identifier: Apache-2.0
// marllb.v1.Failover: who may receive new flows.
import type * as grpc from "@grpc/grpc-js";
import type { ApplyPoolRequest__Output } from "../../gen/marllb/v1/ApplyPoolRequest.js";
import type { ApplyPoolResponse } from "../../gen/marllb/v1/ApplyPoolResponse.js";
import type { FailoverHandlers } from "../../gen/marllb/v1/Failover.js";
import type { GetPoolRequest__Output } from "../../gen/marllb/v1/GetPoolRequest.js";
import type { GetPoolResponse } from "../../gen/marllb/v1/GetPoolResponse.js";
import type { WatchPoolRequest__Output } from "../../gen/marllb/v1/WatchPoolRequest.js";
import type { WatchPoolResponse } from "../../gen/marllb/v1/WatchPoolResponse.js";
import { canonicalAddress } from "../common/config/address.js";
import type { OwnVip } from "../common/config/own.js";
import { failStream, invalid, ServiceError, UNREAD, unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import type { CreateService, Service, ServiceContext } from "../common/run.js";
import { Outlet, systemTimers } from "../common/stream.js";
import { FailoverCore, type PoolView } from "./core.js";
import { address, membersOf, overrideOf, poolMessage, refuseLoops } from "./messages.js";
import { type FailoverMetrics, failoverMetrics } from "./metrics.js";
import type { PoolState } from "./pool.js";
import { shownShare } from "./seen.js";
import type { Store } from "./store.js";
import { openStore } from "./stores.js";
import { Supervision } from "./supervision.js";
import { Verdicts } from "./verdicts.js";

type Watch = grpc.ServerWritableStream<WatchPoolRequest__Output, WatchPoolResponse>;

const TICK_MS = 100;

const watchMessage = (view: PoolView): WatchPoolResponse => ({
  pool: poolMessage(view.pool),
  state: `VIP_STATE_${view.order.status}`,
  term: view.pool.term,
});

class FailoverService {
  /** By the name of the pool; empty = all. */
  private readonly watchers = new Map<Outlet<PoolView, WatchPoolResponse>, string>();
  private readonly core: FailoverCore;
  private readonly metrics: FailoverMetrics;
  private readonly supervision: Supervision;
  private verdicts: Verdicts | undefined;
  private ticker: NodeJS.Timeout | undefined;
  private store!: Store;
  /** Why the last write failed; null: it is stored. */
  private unstored: string | null = null;

  constructor(private readonly context: ServiceContext) {
    const { config, clock, log, registry } = context;
    const { min_healthy: minHealthy, panic_threshold: panicThreshold, slow_start_ms: slowStartMs } = config.failover;
    this.core = new FailoverCore(
      { minHealthy, panicThreshold, slowStartMs },
      {
        order: (agent, view) => this.supervision.send(agent, view),
        changed: (view) => this.changed(view),
        forgotten: (name) => {
          log.info({ pool: name }, "no data plane has this VIP any more: forgotten");
          this.store.remove(name).catch((e: unknown) => this.storeFailed(e));
        },
        save: (pool) => this.save(pool),
      },
      (pool) => config.vips.find((v) => v.name === pool)?.load_balancers ?? 1,
      (pool) => config.vips.some((v) => v.name === pool && v.pool === "managed"),
      (pool, server) => this.verdicts?.fact(pool, server) ?? "UNKNOWN",
    );
    this.metrics = failoverMetrics(registry, this.core, () => this.verdicts?.replicas() ?? new Map());
    this.supervision = new Supervision({ core: this.core, metrics: this.metrics, clock, log });
  }

  /** What was in force before, then verdicts and time. */
  async start(): Promise<void> {
    const { config, clock, log, stateFolder } = this.context;
    this.store = await openStore(
      config,
      stateFolder,
      (message) => log.warn(message),
      (e) => this.storeFailed(e),
    );
    for (const pool of await this.store.load()) this.core.restore(pool, clock.now());
    this.store.onChange(
      (pool) => this.core.adopt(pool, clock.now()),
      (name) => this.core.removed(name),
    );
    this.restoreManaged();
    this.verdicts = new Verdicts(
      config,
      clock.now,
      (pool, server, state) => this.core.health(pool, server, state, clock.now()),
      log,
    );
    this.ticker = setInterval(() => {
      const now = clock.now();
      this.core.tick(now);
      this.supervision.tick(now);
    }, TICK_MS);
  }

  service(): Service {
    const { core } = this;
    const now = this.context.clock.now;
    const implementation: FailoverHandlers = {
      Supervise: (call) => this.supervision.open(call),
      GetPool: unary((r) => this.getPool(r)),
      ApplyPool: unary((r) => this.applyPool(r)),
      WatchPool: (call) => this.watchPool(call),
      Drain: unary((r) => ({ flows: this.drain(r, true) })),
      Undrain: unary((r) => {
        this.drain(r, false);
        return {};
      }),
      SetOverride: unary((r) => ({ term: core.setOverride(core.find(r.vip_id, r.name), overrideOf(r), now()) })),
      ClearOverride: unary((r) => ({ term: core.setOverride(core.find(r.vip_id, r.name), null, now()) })),
    };
    return {
      name: "marllb.v1.Failover",
      definition: v1.Failover.service,
      implementation,
      whyNotReady: () => this.whyNotReady(),
      stop: async () => {
        clearInterval(this.ticker);
        this.verdicts?.close();
        this.supervision.stop();
        for (const out of this.watchers.keys()) out.end();
        await this.store.close();
      },
    };
  }

  private whyNotReady(): string | null {
    if (this.unstored !== null) return `what is ordered is not stored: ${this.unstored}`;
    return this.verdicts?.connected() ? null : "health has not said anything of a server";
  }

  private storeFailed(e: unknown): void {
    this.unstored = e instanceof Error ? e.message : String(e);
    this.metrics.storeErrors.inc();
    this.context.log.error({ err: e }, "store");
  }

  private save(pool: PoolState): void {
    this.store.save(pool).then(
      (stored) => {
        this.unstored = null;
        if (stored !== pool && stored.term >= pool.term) this.core.adopt(stored, this.context.clock.now());
      },
      (e: unknown) => this.storeFailed(e),
    );
  }

  private changed(view: PoolView): void {
    const { pool, order } = view;
    const shares = Object.fromEntries(order.shares);
    this.context.log.info({ pool: pool.name, term: pool.term, state: order.status, shares }, "order");
    for (const [out, name] of this.watchers) if (name === "" || name === pool.name) out.put([[pool.name, view]]);
  }

  /** Managed pools of the configuration that no store knows yet. */
  private restoreManaged(): void {
    const { config, clock } = this.context;
    config.vips.forEach((vip, i) => {
      if (vip.pool !== "managed" || this.core.views().some((v) => v.pool.name === vip.name)) return;
      const members = vip.servers.map((s) => ({ address: canonicalAddress(s.address), weight: s.weight, drain: s.drain }));
      const pool = { name: vip.name, vipId: i + 1, managed: true, revision: 1, term: 0, members };
      this.core.restore({ ...pool, override: null, down: [], holders: [] }, clock.now());
    });
  }

  private drain(r: { vip_id: number; name: string; address: string }, on: boolean): number {
    const wanted = address(r.address, "address");
    const view = this.core.find(r.vip_id, r.name);
    const member = this.core.drain(view, wanted, on, this.context.clock.now());
    const seen = this.supervision.seenOf(view.pool.name).get(member.address);
    // Of a managed pool the list is ours: what a frame still says there is about to change.
    if (!on && seen?.draining && !view.pool.managed) {
      throw new ServiceError(
        "FAILED_PRECONDITION",
        `address: ${member.address} drains by a data plane's own list; end that there (configuration, or undrain on its command line)`,
      );
    }
    return seen?.flows ?? 0;
  }

  private getPool(r: GetPoolRequest__Output): GetPoolResponse {
    const { pool, order, facts } = this.core.find(r.vip_id, r.name);
    const seen = this.supervision.seenOf(pool.name);
    const override = pool.override && {
      weights: pool.override.entries.map((e) => e.weight),
      mode: pool.override.mode as "MODE_SED",
      reason: pool.override.reason,
    };
    const members = pool.members.map((m) => {
      const share = shownShare(order.shares.get(m.address), seen.get(m.address));
      return {
        server: { address: m.address, weight: m.weight, drain: m.drain },
        health: `HEALTH_FACT_${facts.get(m.address)?.health ?? "UNKNOWN"}` as const,
        factor: share.factor,
        reason: share.reason,
        flows: seen.get(m.address)?.flows ?? 0,
      };
    });
    return { pool: poolMessage(pool), members, state: `VIP_STATE_${order.status}` as const, term: pool.term, override };
  }

  /** The configuration knows the VIPs' addresses, the pools which servers they have now. */
  private ownVips(): OwnVip[] {
    const pools = new Map(this.core.views().map((v) => [v.pool.name, v.pool.members]));
    return this.context.config.vips.map((v) => ({
      name: v.name,
      address: v.address,
      protocol: v.protocol,
      servers: (pools.get(v.name) ?? v.servers).map((s) => s.address),
    }));
  }

  private applyPool(r: ApplyPoolRequest__Output): ApplyPoolResponse {
    if (!r.pool) throw invalid("pool", "is missing");
    const members = membersOf(r.pool);
    const view = this.core.find(r.pool.vip_id, r.pool.name);
    refuseLoops(members, view.pool.name, this.ownVips());
    const changes = this.core.apply(view, members, Number(r.pool.revision), r.dry_run, this.context.clock.now());
    return { pool: poolMessage(view.pool), changes };
  }

  private watchPool(call: Watch): void {
    const { vip_id, name } = call.request;
    const all = vip_id === 0 && name === "";
    let views: PoolView[];
    try {
      views = all ? this.core.views() : [this.core.find(vip_id, name)];
    } catch (e) {
      failStream(call, e);
      return;
    }
    const out = new Outlet<PoolView, WatchPoolResponse>(call, {
      pack: ([view]) => watchMessage(view as PoolView),
      batch: 1,
      timers: systemTimers(this.context.clock.now),
      onUnread: () => failStream(call, UNREAD),
    });
    this.watchers.set(out, all ? "" : (views[0] as PoolView).pool.name);
    const end = (): void => {
      this.watchers.delete(out);
      out.close();
    };
    call.on("cancelled", end).on("close", end).on("error", end);
    out.put(views.map((view) => [view.pool.name, view] as const));
  }
}

export const create: CreateService = async (context) => {
  const it = new FailoverService(context);
  await it.start();
  return it.service();
};
