// SPDX-License-Identifier: Apache-2.0
// marllb.v1.Failover: who may receive new flows.
import type * as grpc from "@grpc/grpc-js";
import type { FailoverHandlers } from "../../gen/marllb/v1/Failover.js";
import type { Frame__Output } from "../../gen/marllb/v1/Frame.js";
import type { Roster__Output } from "../../gen/marllb/v1/Roster.js";
import type { SuperviseRequest__Output } from "../../gen/marllb/v1/SuperviseRequest.js";
import type { SuperviseResponse } from "../../gen/marllb/v1/SuperviseResponse.js";
import type { WatchPoolRequest__Output } from "../../gen/marllb/v1/WatchPoolRequest.js";
import type { WatchPoolResponse } from "../../gen/marllb/v1/WatchPoolResponse.js";
import { canonicalAddress } from "../common/config/address.js";
import { failStream, invalid, ServiceError, unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import { birthOf, vipKey } from "../common/identity.js";
import { decodeFrame, memberIds } from "../common/native/frame.js";
import type { CreateService } from "../common/run.js";
import { childSpan } from "../common/telemetry.js";
import { type AgentVip, FailoverCore, type PoolView } from "./core.js";
import { address, directiveFor, membersOf, overrideOf, poolMessage } from "./messages.js";
import { failoverMetrics } from "./metrics.js";
import { type Seen, seenIn, serversOf, shownShare } from "./seen.js";
import { openStore } from "./stores.js";
import { watchVerdicts } from "./verdicts.js";

type Supervise = grpc.ServerDuplexStream<SuperviseRequest__Output, SuperviseResponse>;
type Watch = grpc.ServerWritableStream<WatchPoolRequest__Output, WatchPoolResponse>;

const TICK_MS = 100;
/** An order not in force after so long is said again. */
const RESEND_MS = 1000;

interface Link {
  agent: AgentVip;
  stream: Supervise;
  frame: Frame__Output;
  sentAt: number;
}

export const create: CreateService = async ({ config, log, registry, clock, stateFolder }) => {
  const links = new Map<string, Link>();
  /** By the name of the pool; empty = all. */
  const watchers = new Map<Watch, string>();
  const storeFailed = (e: unknown): void => {
    metrics.storeErrors.inc();
    log.error({ err: e }, "store");
  };
  const store = await openStore(config, stateFolder, (message) => log.warn(message), storeFailed);

  const send = (agent: AgentVip, view: PoolView): void => {
    const link = links.get(`${agent.instance}/${agent.vipId}`);
    if (!link) return;
    link.sentAt = clock.now();
    link.stream.write({ directive: directiveFor(agent, view) });
    metrics.orders.inc();
  };
  const core = new FailoverCore(
    {
      minHealthy: config.failover.min_healthy,
      panicThreshold: config.failover.panic_threshold,
      slowStartMs: config.failover.slow_start_ms,
    },
    {
      order: send,
      changed(view) {
        log.info(
          { pool: view.pool.name, term: view.pool.term, state: view.order.status, shares: Object.fromEntries(view.order.shares) },
          "order",
        );
        for (const [stream, name] of watchers) if (name === "" || name === view.pool.name) stream.write(watchMessage(view));
      },
      forgotten(name) {
        log.info({ pool: name }, "no data plane has this VIP any more: forgotten");
        store.remove(name).catch(storeFailed);
      },
      save(pool) {
        store.save(pool).then((stored) => {
          if (stored !== pool && stored.term >= pool.term) core.adopt(stored, clock.now());
        }, storeFailed);
      },
    },
    (pool) => config.vips.find((v) => v.name === pool)?.load_balancers ?? 1,
    (pool) => config.vips.some((v) => v.name === pool && v.pool === "managed"),
  );
  const metrics = failoverMetrics(registry, core, () => verdicts.state());

  for (const pool of await store.load()) core.restore(pool, clock.now());
  store.onChange(
    (pool) => core.adopt(pool, clock.now()),
    (name) => core.removed(name),
  );
  config.vips.forEach((vip, i) => {
    if (vip.pool !== "managed" || core.views().some((v) => v.pool.name === vip.name)) return;
    const members = vip.servers.map((s) => ({ address: canonicalAddress(s.address), weight: s.weight, drain: s.drain }));
    const pool = {
      name: vip.name,
      vipId: i + 1,
      managed: true,
      revision: 1,
      term: 0,
      members,
      override: null,
      down: [],
      holders: [],
    };
    core.restore(pool, clock.now());
  });

  const verdicts = watchVerdicts(
    config,
    clock.now,
    (address, state) => core.health(address, state, clock.now()),
    (reason) => log.debug({ reason }, "health is away"),
  );
  const ticker = setInterval(() => {
    const now = clock.now();
    core.tick(now);
    for (const link of links.values()) {
      const term = core.agentsOf(link.agent.pool).length > 0 ? core.find(link.agent.vipId, link.agent.pool).pool.term : 0;
      if (link.agent.appliedTerm < term && now - link.sentAt > RESEND_MS) core.resend(link.agent);
    }
  }, TICK_MS);

  const rostered = (roster: Roster__Output): void => {
    const vips = roster.gone.map((v) => ({ ...birthOf(v), vipId: v.vip_id, name: v.name }));
    for (const vip of vips) {
      const key = `${roster.instance}/${vip.vipId}`;
      const link = links.get(key);
      if (link && vipKey(link.agent) === vipKey(vip)) links.delete(key);
    }
    core.gone(roster.instance, vips, clock.now());
  };
  const supervised = (stream: Supervise, r: SuperviseRequest__Output): void => {
    if (r.roster) {
      rostered(r.roster);
      return;
    }
    const frame = r.frame;
    if (!frame) throw invalid("frame", "is missing");
    const now = clock.now();
    const instance = r.instance || frame.instance;
    const key = `${instance}/${frame.vip_id}`;
    let agent = core.known(instance, frame.vip_id);
    const link = links.get(key);
    if (!agent || vipKey(agent) !== vipKey(birthOf(frame)) || agent.generation !== frame.generation || !link) {
      const view = decodeFrame(frame);
      agent = {
        instance,
        vipId: view.vipId,
        pool: view.name,
        dpEpoch: view.dpEpoch,
        birth: view.birth,
        generation: view.generation,
        servers: serversOf(view),
        ids: new Map([...memberIds(view)].map(([a, id]) => [canonicalAddress(a), id])),
        seenAt: now,
        appliedTerm: Number(r.applied_term),
        ladder: r.ladder,
      };
      links.set(key, { agent, stream, frame, sentAt: now });
      core.list(agent, now);
    } else {
      const moved = link.stream !== stream;
      links.set(key, { agent, stream, frame, sentAt: link.sentAt });
      if (moved) core.resend(agent);
    }
    core.seen(agent, Number(r.applied_term), r.ladder, now);
  };

  const seenOf = (pool: string): Map<string, Seen> =>
    seenIn([...links.values()].filter((l) => l.agent.pool === pool).map((l) => decodeFrame(l.frame)));
  const watchMessage = (view: PoolView): WatchPoolResponse => ({
    pool: poolMessage(view.pool),
    state: `VIP_STATE_${view.order.status}`,
    term: view.pool.term,
  });
  const drain = (r: { vip_id: number; name: string; address: string }, on: boolean): number => {
    const wanted = address(r.address, "address");
    const view = core.find(r.vip_id, r.name);
    const member = core.drain(view, wanted, on, clock.now());
    const seen = seenOf(view.pool.name).get(member.address);
    // Of a managed pool the list is ours: what a frame still says there is about to change.
    if (!on && seen?.draining && !view.pool.managed) {
      throw new ServiceError(
        "FAILED_PRECONDITION",
        `address: ${member.address} drains by a data plane's own list; end that there (configuration, or undrain on its command line)`,
      );
    }
    return seen?.flows ?? 0;
  };

  const implementation: FailoverHandlers = {
    Supervise(call) {
      call.on("data", (r: SuperviseRequest__Output) => {
        const span = childSpan("failover.supervise", r.frame?.trace);
        metrics.frames.inc();
        try {
          supervised(call, r);
        } catch (e) {
          metrics.refused.inc();
          log.debug({ err: e }, "frame refused");
        }
        span?.end();
      });
      const end = (): void => {
        for (const [key, link] of links) if (link.stream === call) links.delete(key);
      };
      call.on("error", end).on("cancelled", end).on("close", end);
      call.on("end", () => {
        end();
        call.end();
      });
    },
    GetPool: unary((r) => {
      const view = core.find(r.vip_id, r.name);
      const seen = seenOf(view.pool.name);
      return {
        pool: poolMessage(view.pool),
        members: view.pool.members.map((m) => {
          const share = shownShare(view.order.shares.get(m.address), seen.get(m.address));
          return {
            server: { address: m.address, weight: m.weight, drain: m.drain },
            health: `HEALTH_FACT_${view.facts.get(m.address)?.health ?? "UNKNOWN"}` as const,
            factor: share.factor,
            reason: share.reason,
            flows: seen.get(m.address)?.flows ?? 0,
          };
        }),
        state: `VIP_STATE_${view.order.status}` as const,
        term: view.pool.term,
        override: view.pool.override
          ? {
              weights: view.pool.override.entries.map((e) => e.weight),
              mode: view.pool.override.mode as "MODE_SED",
              reason: view.pool.override.reason,
            }
          : null,
      };
    }),
    ApplyPool: unary((r) => {
      if (!r.pool) throw invalid("pool", "is missing");
      const members = membersOf(r.pool);
      const view = core.find(r.pool.vip_id, r.pool.name);
      const what = core.apply(view, members, Number(r.pool.revision), r.dry_run, clock.now());
      return { pool: poolMessage(view.pool), changes: what };
    }),
    WatchPool(call) {
      const { vip_id, name } = call.request;
      const all = vip_id === 0 && name === "";
      let views: PoolView[];
      try {
        views = all ? core.views() : [core.find(vip_id, name)];
      } catch (e) {
        failStream(call, e);
        return;
      }
      watchers.set(call, all ? "" : (views[0] as PoolView).pool.name);
      const end = (): void => void watchers.delete(call);
      call.on("cancelled", end).on("close", end).on("error", end);
      for (const view of views) call.write(watchMessage(view));
    },
    Drain: unary((r) => ({ flows: drain(r, true) })),
    Undrain: unary((r) => {
      drain(r, false);
      return {};
    }),
    SetOverride: unary((r) => ({ term: core.setOverride(core.find(r.vip_id, r.name), overrideOf(r), clock.now()) })),
    ClearOverride: unary((r) => ({ term: core.setOverride(core.find(r.vip_id, r.name), null, clock.now()) })),
  };

  return {
    name: "marllb.v1.Failover",
    definition: v1.Failover.service,
    implementation,
    async stop() {
      clearInterval(ticker);
      verdicts.close();
      for (const link of links.values()) link.stream.end();
      for (const stream of watchers.keys()) stream.end();
      await store.close();
    },
  };
};
