// SPDX-License-Identifier: Apache-2.0
// Health.Watch as failover hears it. While health is away the last verdicts stand.
import type { WatchRequest } from "../../gen/marllb/v1/WatchRequest.js";
import type { WatchResponse__Output } from "../../gen/marllb/v1/WatchResponse.js";
import type { Config } from "../common/config/load.js";
import { clientCredentials, clientOptions, dialTarget } from "../common/grpc/channel.js";
import { v1 } from "../common/grpc/protos.js";
import { LastingStream } from "../common/stream.js";
import type { HealthFact } from "./pool.js";

export interface Verdicts {
  state(): string;
  close(): void;
}

/** What a message says of servers; a server that is neither up nor down is not in it. */
export function* factsOf(m: WatchResponse__Output): Generator<[address: string, state: HealthFact]> {
  for (const v of m.verdicts) {
    if (v.state === "HEALTH_STATE_UP") yield [v.address, "UP"];
    else if (v.state === "HEALTH_STATE_DOWN") yield [v.address, "DOWN"];
  }
}

export function watchVerdicts(
  config: Config,
  now: () => number,
  hear: (address: string, state: HealthFact) => void,
  down: (reason: string) => void,
): Verdicts {
  const client = new v1.Health(dialTarget(config, "health"), clientCredentials(config), clientOptions);
  const stream = new LastingStream<WatchRequest, WatchResponse__Output>({
    open: () => {
      const call = client.Watch({ instance: "" });
      // A server stream: nothing to write after the request.
      return Object.assign(call, { write: () => true });
    },
    key: () => 0,
    onMessage(m) {
      for (const [address, state] of factsOf(m)) hear(address, state);
    },
    onDown: down,
    timers: { now, setTimeout: (fn, ms) => setTimeout(fn, ms), clearTimeout: (t) => clearTimeout(t as NodeJS.Timeout) },
    stallMs: 1000,
    pipeline: 1,
  });
  return {
    state: () => stream.state,
    close() {
      stream.close();
      client.close();
    },
  };
}
