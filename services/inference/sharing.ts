// SPDX-License-Identifier: Apache-2.0
// The replicas of inference tell each other what their load balancers counted of an experiment, so that its verdict is the pool's.
import { ask } from "../common/grpc/ask.js";
import { clientCredentials, dialTarget } from "../common/grpc/channel.js";
import { v1 } from "../common/grpc/protos.js";
import { Replicas } from "../common/grpc/replicas.js";
import type { ServiceContext } from "../common/run.js";
import { systemTimers } from "../common/stream.js";
import { shareOf } from "./experiment-messages.js";
import type { Share, Trials } from "./trials.js";

const EVERY_MS = 1000;
const ASK_MS = 900;

type Client = InstanceType<typeof v1.Inference>;

interface Other {
  client: Client;
  /** It is this process: not asked again. */
  self: boolean;
}

export type SharingOptions = Pick<ServiceContext, "config" | "clock" | "log"> & {
  trials: Trials;
  replica: string;
  /** VIPs that are steered here, or may be next. */
  vips(): ReadonlySet<string>;
};

export class Sharing {
  readonly #o: SharingOptions;
  readonly #all: Replicas<Other>;
  readonly #timer: NodeJS.Timeout;
  #asking = false;

  constructor(o: SharingOptions) {
    this.#o = o;
    const { config, clock, log } = o;
    const credentials = clientCredentials(config);
    this.#all = new Replicas<Other>({
      target: dialTarget(config, "inference"),
      open: (address, options) => ({ client: new v1.Inference(address, credentials, options), self: false }),
      close: ({ client }) => client.close(),
      failed: (reason) => log.debug({ reason }, "the name of the other replicas cannot be resolved"),
      timers: systemTimers(clock.now),
    });
    this.#timer = setInterval(() => void this.#round(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#all.close();
  }

  async #round(): Promise<void> {
    const others = [...this.#all.all.values()].filter((r) => !r.self);
    if (this.#asking || others.length === 0) return;
    this.#asking = true;
    try {
      for (const vip of this.#o.vips()) await this.#askAll(vip, others);
    } catch (e) {
      this.#o.log.error({ err: e }, "what other replicas counted of an experiment");
    } finally {
      this.#asking = false;
    }
  }

  async #askAll(vip: string, others: readonly Other[]): Promise<void> {
    const { trials, replica, clock } = this.#o;
    const from = trials.wantsFrom(vip);
    const shares = await Promise.all(others.filter((r) => !r.self).map((r) => this.#ask(r, vip, from)));
    const heard = shares.flatMap((s) => s ?? []);
    trials.others(vip, replica, heard, clock.unixMs());
  }

  /** null: it does not answer, or has nothing to say. */
  async #ask(other: Other, vip: string, from: number): Promise<Share | null> {
    try {
      const answer = await ask(other.client, "ShareExperiment", { vip, pairs_from: from }, ASK_MS);
      other.self = answer.replica === this.#o.replica;
      if (!other.self) return shareOf(answer, from);
      other.client.close();
    } catch (e) {
      this.#o.log.debug({ err: e, address: other.client.getChannel().getTarget() }, "another replica does not answer");
    }
    return null;
  }
}
