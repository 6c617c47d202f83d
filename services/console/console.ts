// SPDX-License-Identifier: Apache-2.0
// The console put together, but for where its knowledge comes from: that is handed to it.
import type { ExplainResponse__Output as Explain } from "../../gen/marllb/v1/ExplainResponse.js";
import type { ListModelsResponse__Output as Models } from "../../gen/marllb/v1/ListModelsResponse.js";
import type { HostPort } from "../common/config/address.js";
import type { Config } from "../common/config/load.js";
import { ServiceError } from "../common/grpc/errors.js";
import type { Logger } from "../common/log.js";
import type { Registry } from "../common/metrics.js";
import type { Endpoint } from "../common/run.js";
import { Access } from "./access.js";
import { carryOut, type Orders, parseAct } from "./actions.js";
import { EventLog } from "./eventlog.js";
import { explained } from "./explained.js";
import { pageFiles } from "./files.js";
import { openHttp, type Question, type Route } from "./http.js";
import { LiveReaders } from "./live.js";
import { consoleMetrics } from "./metrics.js";
import { Model, type VipPlace } from "./model.js";
import { Pasts } from "./past.js";

const MAX_SPAN_MS = 86_400_000;

/** Who is asked about what the statistics do not say, and who takes orders. */
export interface Others extends Orders {
  explain(place: VipPlace): Promise<Explain>;
  policies(): Promise<Models>;
}

export interface ConsoleOptions {
  config: Config;
  log: Pick<Logger, "info" | "warn">;
  registry: Registry;
  unixMs(): number;
  now(): number;
}

export class Console {
  readonly events = new EventLog();
  readonly pasts = new Pasts();
  readonly model: Model;
  readonly live: LiveReaders;
  readonly access: Access;
  readonly #files = pageFiles();
  readonly #metrics: ReturnType<typeof consoleMetrics>;

  constructor(private readonly o: ConsoleOptions) {
    this.access = new Access(o.config);
    this.model = new Model(this.events, o.config.console.capacity);
    this.live = new LiveReaders({ model: this.model, events: this.events, unixMs: o.unixMs, now: o.now });
    this.#metrics = consoleMetrics(o.registry, this.live);
  }

  open(at: HostPort, others: Others): Promise<Endpoint> {
    const { config, log } = this.o;
    const { access, live } = this;
    const failed = (e: unknown): void => log.warn({ err: e }, "request failed");
    return openHttp({ config, access, files: this.#files, routes: this.#routes(others), live, failed }, at);
  }

  #routes(others: Others): Map<string, Route> {
    const explain = async (url: URL) => {
      const place = this.#vip(url);
      return explained(await others.explain(place), this.model.detail(place.key)?.servers ?? [], this.o.unixMs());
    };
    const policies = async () =>
      (await others.policies()).models.map(({ name, kind, usable, note }) => ({ name, kind, usable, note }));
    return new Map<string, Route>([
      ["/api/me", { method: "GET", role: "none", answer: ({ me }) => me }],
      ["/api/past", { method: "GET", role: "read", answer: ({ url }) => this.#past(url) }],
      ["/api/explain", { method: "GET", role: "read", answer: ({ url }) => explain(url) }],
      ["/api/policies", { method: "GET", role: "read", answer: policies }],
      ["/api/act", { method: "POST", role: "operate", answer: (q) => this.#act(q, others) }],
    ]);
  }

  async #act({ body, me }: Question, others: Orders): Promise<unknown> {
    const order = parseAct(body);
    try {
      const done = await carryOut(order, me.name, this.model, others);
      this.o.log.info({ by: me.name, order }, "order given");
      this.#metrics.acts.inc({ act: order.do, outcome: "done" });
      return done;
    } catch (e) {
      this.#metrics.acts.inc({ act: order.do, outcome: "refused" });
      throw e;
    }
  }

  #past(url: URL) {
    const span = Math.min(MAX_SPAN_MS, Math.max(1000, Number(url.searchParams.get("span")) || 600_000));
    return this.pasts.read(this.#vip(url).key, this.o.unixMs(), span, this.events.all());
  }

  /** The VIP of a request's `vip`. */
  #vip(url: URL): VipPlace {
    const key = url.searchParams.get("vip") ?? "";
    const place = this.model.place(key);
    if (place) return place;
    throw new ServiceError("NOT_FOUND", `vip: no VIP "${key.slice(0, 100)}" is known`);
  }
}
