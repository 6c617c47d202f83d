// SPDX-License-Identifier: Apache-2.0
// marllb.v1.Failover: who may receive new flows.
import { randomUUID } from "node:crypto";
import type * as grpc from "@grpc/grpc-js";
import type { FailoverHandlers } from "../../gen/marllb/v1/Failover.js";
import type { WatchPoolRequest__Output } from "../../gen/marllb/v1/WatchPoolRequest.js";
import type { WatchPoolResponse } from "../../gen/marllb/v1/WatchPoolResponse.js";
import { canonicalAddress } from "../common/config/address.js";
import type { Config } from "../common/config/load.js";
import { failStream, UNREAD, unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import { modelsFolder } from "../common/policies.js";
import type { CreateService, Service, ServiceContext } from "../common/run.js";
import { Outlet, systemTimers } from "../common/stream.js";
import { type CommonRules, FailoverCore, type PoolView } from "./core.js";
import { Discovery } from "./discovery/discovery.js";
import type { Wanted } from "./intent.js";
import { Intents, type StoreState } from "./intents.js";
import { poolMessage } from "./messages.js";
import { type FailoverMetrics, failoverMetrics } from "./metrics.js";
import { first, raiseTo } from "./operations.js";
import { Operator } from "./operator.js";
import type { Moment, Share } from "./orders.js";
import { Policies } from "./policies.js";
import type { Store } from "./store.js";
import { openStore } from "./stores.js";
import { Supervision } from "./supervision.js";
import { Verdicts } from "./verdicts.js";

type Watch = grpc.ServerWritableStream<WatchPoolRequest__Output, WatchPoolResponse>;

const TICK_MS = 100;
const LOGGED_SHARES = 32;
/** A store that lost versions is looked at again so often, however many frames say so. */
const CATCH_UP_MS = 1000;

/** A line of the log is to be read: of a pool of a thousand it says some. */
function loggedShares(all: ReadonlyMap<string, Share>): { shares: Record<string, Share>; more?: number } {
  const shares = Object.fromEntries([...all].slice(0, LOGGED_SHARES));
  return all.size > LOGGED_SHARES ? { shares, more: all.size - LOGGED_SHARES } : { shares };
}

const wantedOf = (s: Wanted): Wanted => ({ address: canonicalAddress(s.address), weight: s.weight });

const watchMessage = (view: PoolView): WatchPoolResponse => ({
  pool: poolMessage(view),
  state: `VIP_STATE_${view.order.status}`,
  term: view.term,
});

const rulesOf = ({ failover: f }: Config): CommonRules => ({
  minHealthy: f.min_healthy,
  panicThreshold: f.panic_threshold,
  slowStartMs: f.slow_start_ms,
});

class FailoverService {
  /** By the name of the pool; empty = all. */
  private readonly watchers = new Map<Outlet<PoolView, WatchPoolResponse>, string>();
  private readonly core: FailoverCore;
  private readonly intents: Intents;
  private readonly metrics: FailoverMetrics;
  private readonly supervision: Supervision;
  private readonly operator: Operator;
  private readonly verdicts: Verdicts | undefined;
  private readonly discovery: Discovery;
  private readonly ticker: NodeJS.Timeout;
  private readonly policies: Policies;
  private readonly caughtUp = new Map<string, number>();

  constructor(
    private readonly context: ServiceContext,
    store: Store,
  ) {
    const { config, clock, log, registry } = context;
    this.policies = new Policies(modelsFolder(config.inference.models));
    this.core = new FailoverCore({
      rules: rulesOf(config),
      events: {
        order: (agent, view) => this.supervision.send(agent, view),
        changed: (view) => this.changed(view),
        forgotten: (pool) => log.info({ pool }, "no data plane has this VIP any more: forgotten"),
        later: (pool, version) => this.catchUp(pool, version),
      },
      configured: (pool) => config.vips.find((v) => v.name === pool)?.load_balancers ?? 1,
      heard: (pool, server) => this.verdicts?.fact(pool, server) ?? "UNKNOWN",
      hears: () => this.verdicts?.connected() ?? false,
      fixed: config.vips.map((v, i) => ({
        name: v.name,
        vipId: i + 1,
        servers: v.servers.map(wantedOf),
        local: v.pool === "local",
        follows: v.discover !== undefined,
        closeDown: v.on_down === "close",
        closeRemoved: v.on_removed === "close",
      })),
    });
    this.metrics = failoverMetrics(registry, this.core, {
      health: () => this.verdicts?.replicas() ?? new Map(),
      store: () => this.intents.state === "current",
      found: () => this.discovery.pools,
    });
    this.supervision = new Supervision({
      core: this.core,
      metrics: this.metrics,
      clock,
      log,
      ordering: () => this.intents.ordering,
      drainMs: config.dataplane.drain_timeout_ms,
    });
    this.intents = new Intents({
      store,
      timers: systemTimers(clock.now),
      unixMs: clock.unixMs,
      newId: randomUUID,
      taken: (pool, { version, by, reason, what }) => log.info({ pool, version, by, reason, what }, "operation"),
      changed: (intent) => {
        this.policies.ordered(intent.pool, intent.policy?.name ?? "");
        this.core.wanted(intent, this.moment());
      },
      stateChanged: (state, reason) => this.storeState(state, reason),
      failed: (e) => this.storeFailed(e),
    });
    this.discovery = new Discovery({
      vips: config.vips,
      timers: systemTimers(clock.now),
      unixMs: clock.unixMs,
      log,
      found: (pool, servers) => this.core.found(pool, servers, this.moment()),
    });
    const { core, intents, supervision, discovery } = this;
    const whyDown = (pool: string, server: string): string => this.verdicts?.whyDown(pool, server) ?? "";
    this.operator = new Operator({ core, intents, supervision, discovery, whyDown, policies: this.policies, config, clock });
    this.verdicts = new Verdicts(
      config,
      clock.now,
      (pool, server, state) => this.core.health(pool, server, state, this.moment()),
      log,
    );
    intents.start();
    this.ticker = setInterval(() => {
      this.core.tick(this.moment());
      this.supervision.tick(clock.now());
    }, TICK_MS);
  }

  /** Why orders may not be made, or not be made well; null: all is heard. */
  whyNotReady(): string | null {
    const { state, reason } = this.intents;
    if (state === "starting" || state === "away") return `store: ${reason}`;
    return this.policies.problem() ?? (this.verdicts?.connected() ? null : "health has not said anything of a server");
  }

  service(): Service {
    const implementation: FailoverHandlers = {
      Supervise: (call) => this.supervision.open(call),
      WatchPool: (call) => this.watchPool(call),
      GetPool: unary((r) => this.operator.getPool(r)),
      History: unary((r) => this.operator.history(r)),
      ApplyPool: unary((r, caller) => this.operator.applyPool(r, caller)),
      Drain: unary((r, caller) => this.operator.drain(r, caller)),
      Undrain: unary((r, caller) => this.operator.undrain(r, caller)),
      SetMaintenance: unary((r, caller) => this.operator.maintenance(r, caller)),
      SetOverride: unary((r, caller) => this.operator.setOverride(r, caller)),
      ClearOverride: unary((r, caller) => this.operator.clearOverride(r, caller)),
      SetPolicy: unary((r, caller) => this.operator.setPolicy(r, caller)),
    };
    return {
      name: "marllb.v1.Failover",
      definition: v1.Failover.service,
      implementation,
      whyNotReady: () => this.whyNotReady(),
      reload: {
        keys: ["failover.min_healthy", "failover.panic_threshold", "failover.slow_start_ms"],
        apply: (config) => this.core.setRules(rulesOf(config), this.moment()),
      },
      stop: async () => {
        clearInterval(this.ticker);
        this.discovery.stop();
        this.verdicts?.close();
        this.supervision.stop();
        for (const out of this.watchers.keys()) out.end();
        await this.intents.close();
      },
    };
  }

  private moment(): Moment {
    const { clock } = this.context;
    return { now: clock.now(), unixMs: clock.unixMs() };
  }

  private storeFailed(e: unknown): void {
    this.metrics.storeErrors.inc();
    this.context.log.debug({ err: e }, "store");
  }

  private storeState(state: StoreState, reason: string): void {
    const { log } = this.context;
    if (state === "away") log.error({ reason }, "the store is away: what is known is ordered, operations are refused");
    else if (state === "current") {
      log.info({ pools: this.intents.all().length }, "the store is heard");
      this.firstLists();
      this.core.resendAll();
    }
  }

  /** An agent's term says that operations were made that we do not know: read them, or go on beyond them where they are lost. */
  private catchUp(pool: string, version: number): void {
    const { clock, log } = this.context;
    const now = clock.now();
    if (!this.intents.ordering || now - (this.caughtUp.get(pool) ?? Number.NEGATIVE_INFINITY) < CATCH_UP_MS) return;
    this.caughtUp.set(pool, now);
    const raise = async (): Promise<void> => {
      if ((await this.intents.refresh(pool)).version >= version) return;
      log.warn({ pool, version }, "a load balancer obeys orders that the store has lost: going on beyond them");
      const stamp = { by: "failover", reason: "the store has lost operations", at: clock.unixMs() };
      await this.intents.operate(pool, raiseTo(version), stamp);
    };
    raise().catch((e: unknown) => this.storeFailed(e));
  }

  private changed(view: PoolView): void {
    const { name, term, order } = view;
    const { log } = this.context;
    if (log.isLevelEnabled("info")) log.info({ pool: name, term, state: order.status, ...loggedShares(order.shares) }, "order");
    for (const [out, of] of this.watchers) if (of === "" || of === name) out.put([[name, view]]);
  }

  /** Of managed pools of the configuration that nobody has ordered anything of. */
  private firstLists(): void {
    const { config, clock } = this.context;
    for (const vip of config.vips) {
      if (vip.pool !== "managed" || this.intents.get(vip.name).version > 0) continue;
      const members = vip.servers.map((s) => ({ ...wantedOf(s), drain: s.drain }));
      const stamp = { by: "configuration", reason: "the first list of a managed pool", at: clock.unixMs() };
      this.intents.operate(vip.name, first(members, stamp), stamp).catch((e: unknown) => this.storeFailed(e));
    }
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
    this.watchers.set(out, all ? "" : (views[0] as PoolView).name);
    const end = (): void => {
      this.watchers.delete(out);
      out.close();
    };
    call.on("cancelled", end).on("close", end).on("error", end);
    out.put(views.map((view) => [view.name, view] as const));
  }
}

export const create: CreateService = async (context) => {
  const store = await openStore(context.config, context.stateFolder, (message) => context.log.warn(message));
  return new FailoverService(context, store).service();
};
