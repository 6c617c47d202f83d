// SPDX-License-Identifier: Apache-2.0
// Health.Watch as failover hears it, from every replica of health. While none answers the last verdicts stand.
import type { Client } from "@grpc/grpc-js";
import type { WatchRequest } from "../../gen/marllb/v1/WatchRequest.js";
import type { WatchResponse__Output } from "../../gen/marllb/v1/WatchResponse.js";
import { canonicalAddress } from "../common/config/address.js";
import type { Config } from "../common/config/load.js";
import { clientCredentials, dialTarget } from "../common/grpc/channel.js";
import { v1 } from "../common/grpc/protos.js";
import { Replicas } from "../common/grpc/replicas.js";
import type { Logger } from "../common/log.js";
import { LastingStream, systemTimers, type Timers } from "../common/stream.js";
import type { HealthFact } from "./orders.js";
import { type HeardVerdict, type ReplicaState, Votes } from "./votes.js";

const FACTS: Record<string, HealthFact> = { HEALTH_STATE_UP: "UP", HEALTH_STATE_DOWN: "DOWN" };

export const heardIn = (m: WatchResponse__Output): HeardVerdict[] =>
  m.verdicts.map((v) => ({
    pool: v.vip,
    instance: v.instance,
    address: canonicalAddress(v.address),
    state: FACTS[v.state] ?? (v.waiting ? "WAITING" : "UNKNOWN"),
    reason: v.reason,
    sinceUnixMs: Number(v.since_unix_ms),
  }));

/** Whether verdicts of a replica are heard, said once when it changes. One that knows no server yet says nothing of any. */
export class HealthLink {
  connected = false;
  private saidAway = false;

  constructor(
    private readonly log: Pick<Logger, "info" | "warn">,
    private readonly replica: string,
  ) {}

  heard(verdicts: number): void {
    if (this.connected || verdicts === 0) return;
    this.connected = true;
    this.saidAway = false;
    this.log.info({ replica: this.replica, verdicts }, "health is heard");
  }

  away(reason: string): void {
    this.connected = false;
    if (this.saidAway) return;
    this.saidAway = true;
    this.log.warn({ replica: this.replica, reason }, "health is away: without another replica the last verdicts stand");
  }
}

/** Of a check's interval: the checks of a replica's servers lie anywhere in it, and it varies a little. */
const TIE_INTERVALS = 1.25;

interface Watched {
  client: Client;
  stream: LastingStream<WatchRequest, WatchResponse__Output>;
  link: HealthLink;
}

export class Verdicts {
  readonly #votes: Votes;
  readonly #replicas: Replicas<Watched>;
  readonly #log: Logger;
  readonly #cutOff = new Set<string>();
  #closed = false;

  constructor(config: Config, now: () => number, hear: (pool: string, address: string, state: HealthFact) => void, log: Logger) {
    this.#log = log;
    const tieMs = TIE_INTERVALS * config.health.interval_ms;
    this.#votes = new Votes(hear, (look) => setTimeout(() => this.#closed || look(), tieMs).unref());
    const credentials = clientCredentials(config);
    const timers = systemTimers(now);
    this.#replicas = new Replicas<Watched>({
      target: dialTarget(config, "health"),
      timers,
      open: (address, options) => this.#watch(address, new v1.Health(address, credentials, options), timers),
      close: ({ stream, client }, address) => {
        stream.close();
        client.close();
        this.#votes.gone(address);
      },
      failed: (reason) => log.debug({ reason }, "health's name cannot be resolved"),
    });
  }

  connected(): boolean {
    return [...this.#replicas.all.values()].some((r) => r.link.connected);
  }

  /** What is known of a server; a pool may be made after its servers' verdicts were heard. */
  fact(pool: string, address: string): HealthFact {
    return this.#votes.fact(pool, address);
  }

  whyDown(pool: string, address: string): string {
    return this.#votes.whyDown(pool, address);
  }

  replicas(): Map<string, ReplicaState> {
    const states = this.#votes.replicas();
    return new Map([...this.#replicas.all].map(([a, r]) => [a, r.link.connected ? (states.get(a) ?? "away") : "away"]));
  }

  close(): void {
    this.#closed = true;
    this.#replicas.close();
  }

  #watch(address: string, client: InstanceType<typeof v1.Health>, timers: Timers): Watched {
    const link = new HealthLink(this.#log, address);
    const stream = new LastingStream<WatchRequest, WatchResponse__Output>({
      open: () => {
        const call = client.Watch({ instance: "" });
        // A server stream: nothing to write after the request.
        return Object.assign(call, { write: () => true });
      },
      key: () => 0,
      onMessage: (m) => {
        link.heard(m.verdicts.length);
        this.#votes.hear(address, heardIn(m), m.snapshot);
        this.#sayCutOff();
      },
      onDown: (reason) => {
        link.away(reason);
        this.#votes.away(address);
        this.#sayCutOff();
      },
      timers,
      stallMs: 1000,
      pipeline: 1,
    });
    return { client, stream, link };
  }

  #sayCutOff(): void {
    for (const [replica, state] of this.replicas()) {
      if (state === "cut_off" && !this.#cutOff.has(replica)) {
        this.#cutOff.add(replica);
        this.#log.warn({ replica }, "a health reaches no server, and another does: it is taken to be cut off");
      } else if (state !== "cut_off" && this.#cutOff.delete(replica)) {
        this.#log.info({ replica }, "the health that was cut off reaches servers again");
      }
    }
  }
}
