// SPDX-License-Identifier: Apache-2.0
// Health.Watch as failover hears it. While health is away the last verdicts stand.
import type { WatchRequest } from "../../gen/marllb/v1/WatchRequest.js";
import type { WatchResponse__Output } from "../../gen/marllb/v1/WatchResponse.js";
import type { Config } from "../common/config/load.js";
import { clientCredentials, clientOptions, dialTarget } from "../common/grpc/channel.js";
import { v1 } from "../common/grpc/protos.js";
import type { Logger } from "../common/log.js";
import { LastingStream, systemTimers } from "../common/stream.js";
import type { HealthFact } from "./pool.js";

export interface Verdicts {
  connected(): boolean;
  close(): void;
}

/** What a message says of servers; a server that is neither up nor down is not in it. */
export function* factsOf(m: WatchResponse__Output): Generator<[address: string, state: HealthFact]> {
  for (const v of m.verdicts) {
    if (v.state === "HEALTH_STATE_UP") yield [v.address, "UP"];
    else if (v.state === "HEALTH_STATE_DOWN") yield [v.address, "DOWN"];
  }
}

/** Whether verdicts are heard, said once when it changes. A health service that knows no server yet says nothing of any. */
export class HealthLink {
  connected = false;
  private saidAway = false;

  constructor(private readonly log: Pick<Logger, "info" | "warn">) {}

  heard(verdicts: number): void {
    if (this.connected || verdicts === 0) return;
    this.connected = true;
    this.saidAway = false;
    this.log.info({ verdicts }, "health is heard");
  }

  away(reason: string): void {
    this.connected = false;
    if (this.saidAway) return;
    this.saidAway = true;
    this.log.warn({ reason }, "health is away: the last verdicts stand");
  }
}

export function watchVerdicts(
  config: Config,
  now: () => number,
  hear: (address: string, state: HealthFact) => void,
  log: Logger,
): Verdicts {
  const link = new HealthLink(log);
  const client = new v1.Health(dialTarget(config, "health"), clientCredentials(config), clientOptions);
  const stream = new LastingStream<WatchRequest, WatchResponse__Output>({
    open: () => {
      const call = client.Watch({ instance: "" });
      // A server stream: nothing to write after the request.
      return Object.assign(call, { write: () => true });
    },
    key: () => 0,
    onMessage(m) {
      link.heard(m.verdicts.length);
      for (const [address, state] of factsOf(m)) hear(address, state);
    },
    onDown: (reason) => link.away(reason),
    timers: systemTimers(now),
    stallMs: 1000,
    pipeline: 1,
  });
  return {
    connected: () => link.connected,
    close() {
      stream.close();
      client.close();
    },
  };
}
