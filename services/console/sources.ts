// SPDX-License-Identifier: Apache-2.0
// Where the console's knowledge comes from: the statistics of every load balancer's agent, the pools and orders as failover has them,
// explanations of inference. What hangs or is away costs its own figures and nothing else.
import { type ServiceError, status } from "@grpc/grpc-js";
import type { ExplainResponse__Output as Explain } from "../../gen/marllb/v1/ExplainResponse.js";
import type { GetPoolResponse__Output as Pool } from "../../gen/marllb/v1/GetPoolResponse.js";
import type { Clock } from "../common/clock.js";
import type { Config } from "../common/config/load.js";
import { type AnswerOf, ask, follow, type RequestOf } from "../common/grpc/ask.js";
import { clientCredentials, dialTarget } from "../common/grpc/channel.js";
import { v1 } from "../common/grpc/protos.js";
import { Replicas } from "../common/grpc/replicas.js";
import type { Logger } from "../common/log.js";
import { systemTimers } from "../common/stream.js";
import type { EventLog } from "./eventlog.js";
import type { Model, VipPlace } from "./model.js";
import type { Pasts } from "./past.js";
import { type GetTrust, trustNow } from "./trust-now.js";

type Agent = InstanceType<typeof v1.ShmAgent>;
type Failover = InstanceType<typeof v1.Failover>;
type Inference = InstanceType<typeof v1.Inference>;

const EVERY_MS = 1000;
/** A little more often than once a second: a message that came just after it leaves no second empty. */
const STATS_MS = 900;
const ASK_MS = 2000;
/** Pools that nobody looks at are asked for less often: one of them a round. */
const ORDERS = 20;

interface Feed {
  stop(): void;
}

export interface SourcesOptions {
  config: Config;
  clock: Clock;
  log: Logger;
  model: Model;
  pasts: Pasts;
  events: EventLog;
  /** VIPs that somebody looks at. */
  watched(): Set<string>;
}

/** Why, in words for people: gRPC's own tell of its attempts. */
function reasonOf(e: unknown): string {
  const { code, details, message } = e as ServiceError;
  if (code === status.DEADLINE_EXCEEDED) return "no answer in time";
  if (code === status.UNAVAILABLE && /ECONNREFUSED/.test(details)) return "nothing listens there";
  if (code === status.UNAVAILABLE && /^No connection established/.test(details)) return "no connection";
  return details || message;
}

export class Sources {
  readonly #o: SourcesOptions;
  readonly #agents: Replicas<Feed>[];
  readonly #failover: Replicas<Failover>;
  readonly #inference: Replicas<Inference>;
  readonly #timer: NodeJS.Timeout;
  readonly #orders = new Map<string, { term: number; version: number }>();
  #round = 0;
  #busy = false;

  constructor(o: SourcesOptions) {
    this.#o = o;
    const { config, clock } = o;
    const timers = systemTimers(clock.now);
    const credentials = clientCredentials(config);
    const failed = (reason: string): void => o.log.debug({ reason }, "a name cannot be resolved");
    const closing = { close: (c: { close(): void }) => c.close(), failed, timers };
    const targets = config.console.agents.length > 0 ? config.console.agents : [dialTarget(config, "shm_agent")];
    this.#agents = targets.map(
      (target) =>
        new Replicas<Feed>({
          target,
          open: (address, options) => this.#feed(address, new v1.ShmAgent(address, credentials, options)),
          close: (feed) => feed.stop(),
          failed,
          timers,
        }),
    );
    this.#failover = new Replicas<Failover>({
      ...closing,
      target: dialTarget(config, "failover"),
      open: (address, options) => new v1.Failover(address, credentials, options),
    });
    this.#inference = new Replicas<Inference>({
      ...closing,
      target: dialTarget(config, "inference"),
      open: (address, options) => new v1.Inference(address, credentials, options),
    });
    this.#timer = setInterval(() => void this.#tick(), EVERY_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const r of [...this.#agents, this.#failover, this.#inference]) r.close();
  }

  /** Of the replica that steers the VIP. */
  async explain({ instance, vipId }: VipPlace): Promise<Explain> {
    return first(await this.#every(this.#inference, "Explain", { instance, vip_id: vipId }));
  }

  async policies(): Promise<AnswerOf<Inference, "ListModels">> {
    return first(await this.#every(this.#inference, "ListModels", {}));
  }

  /** An order, of the first replica of failover that takes it: what it says is what shall be, so a second try is no second order. */
  async order<K extends keyof Failover>(method: K, request: RequestOf<Failover[K]>): Promise<AnswerOf<Failover, K>> {
    const problems: unknown[] = [];
    for (const client of this.#failover.all.values()) {
      try {
        const done = await ask(client, method, request, ASK_MS);
        if (method === "SetPolicy") await this.#endExperiment(request as { name: string; reason: string });
        return done;
      } catch (e) {
        problems.push(e);
        if ((e as ServiceError).code !== 14 && (e as ServiceError).code !== 4) break;
      }
    }
    throw problems.at(-1) ?? new Error("no address of failover is known yet");
  }

  /** It would decide in place of the policy that was ordered, that one being in force already too. */
  async #endExperiment({ name, reason }: { name: string; reason: string }): Promise<void> {
    await this.#every(this.#inference, "StopExperiment", { vip: name, reason: `a policy was ordered: ${reason}` });
  }

  /** Asks for the pool of a VIP now: an order was given. */
  async refresh(name: string): Promise<void> {
    const { model, clock } = this.#o;
    const pools = (await this.#every(this.#failover, "GetPool", { vip_id: 0, name })).flatMap((r) =>
      r instanceof Error ? [] : [r],
    );
    if (pools.length === 0) return;
    // The one that hears most load balancers knows most of health and flows.
    const heard = (p: Pool): number => p.load_balancers.filter((l) => l.heard).length;
    const pool = pools.reduce((a, b) => (heard(b) > heard(a) ? b : a));
    model.pool(name, pool, clock.unixMs());
    await this.#history(name, Number(pool.term));
  }

  #feed(address: string, client: Agent): Feed {
    const { model, pasts, clock } = this.#o;
    let told = false;
    const status = async (): Promise<void> => {
      try {
        model.status(address, await ask(client, "GetStatus", {}, ASK_MS), clock.unixMs());
        told = true;
      } catch (e) {
        model.lost(address, reasonOf(e), clock.unixMs());
      }
    };
    const unfollow = follow(
      () => client.StreamStats({ every_ms: STATS_MS }),
      (m) => {
        if (!told) return void status();
        const put = model.stats(address, m, clock.unixMs());
        if (put) pasts.put(put.brief, put.servers);
      },
    );
    void status();
    const timer = setInterval(() => void status(), EVERY_MS);
    return {
      stop() {
        clearInterval(timer);
        unfollow();
        client.close();
        model.gone(address);
      },
    };
  }

  async #tick(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const { model, clock, watched } = this.#o;
      model.settle(clock.unixMs());
      const names = model.names();
      const now = new Set(model.wanted());
      for (const key of watched()) {
        const place = model.place(key);
        if (place) now.add(place.name);
      }
      const other = names[this.#round++ % Math.max(1, names.length)];
      if (other !== undefined) now.add(other);
      await Promise.all([...now].map((name) => this.refresh(name)));
      await Promise.all([this.#failures(), this.#trusts()]);
    } catch (e) {
      this.#o.log.debug({ err: e }, "console round");
    }
    this.#busy = false;
  }

  /** Why a policy could not decide is inference's to say; asked while it could not. */
  async #failures(): Promise<void> {
    const { model, clock } = this.#o;
    await Promise.all(
      model.briefs(clock.unixMs()).map(async ({ key, step, stale }) => {
        const place = model.place(key);
        if (step !== 1 || stale || !place) return model.failure(key, "");
        const explained = await this.explain(place).catch(() => null);
        model.failure(key, /failed: (.*)$/.exec(explained?.servers[0]?.reason ?? "")?.[1] ?? "");
      }),
    );
  }

  /** Of every VIP, by the replica that steers it. */
  async #trusts(): Promise<void> {
    const { model, clock } = this.#o;
    const at = clock.unixMs();
    const briefs = model.briefs(at).filter((b) => !b.stale);
    const answers = new Map<string, Promise<(GetTrust | Error)[]>>();
    for (const { name } of briefs)
      if (!answers.has(name)) answers.set(name, this.#every(this.#inference, "GetTrust", { vip: name }));
    await Promise.all(
      briefs.map(async ({ key, name }) => {
        const instance = model.place(key)?.instance ?? "";
        const found = (await answers.get(name))?.flatMap((a) => (a instanceof Error ? [] : [a])) ?? [];
        if (found.length > 0) model.trust(key, trustNow(found, instance), at);
      }),
    );
  }

  /** Orders that were given since the last look, as events. */
  async #history(name: string, term: number): Promise<void> {
    const { events } = this.#o;
    const known = this.#orders.get(name);
    if (known && known.term === term) return;
    const [r] = (await this.#every(this.#failover, "History", { vip_id: 0, name, limit: ORDERS })).filter(
      (x) => !(x instanceof Error),
    );
    if (!r || r instanceof Error) return;
    const changes = r.changes.filter((c) => Number(c.version) > (known?.version ?? 0)).reverse();
    this.#orders.set(name, { term, version: Number(r.changes[0]?.version ?? known?.version ?? 0) });
    for (const c of changes) {
      const why = c.reason === "" ? "" : ` (${c.reason})`;
      events.add({ at: Number(c.at_unix_ms), key: `/${name}`, kind: "order", tone: "note", text: `${c.what.join(", ")}${why}` });
    }
  }

  #every<C extends object, K extends keyof C>(
    of: Replicas<C>,
    method: K,
    request: RequestOf<C[K]>,
  ): Promise<(AnswerOf<C, K> | Error)[]> {
    return Promise.all(
      [...of.all.values()].map((client) => ask(client, method, request, ASK_MS).catch((e: unknown) => e as Error)),
    );
  }
}

function first<T>(answers: readonly (T | Error)[]): T {
  for (const a of answers) if (!(a instanceof Error)) return a;
  throw answers[0] ?? new Error("no address of inference is known yet");
}
