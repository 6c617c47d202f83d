// SPDX-License-Identifier: Apache-2.0
// Who hears the verdicts: all of them first and every now and then, and each change.
import type * as grpc from "@grpc/grpc-js";
import type { Verdict as VerdictMessage } from "../../gen/marllb/v1/Verdict.js";
import type { WatchRequest__Output } from "../../gen/marllb/v1/WatchRequest.js";
import type { WatchResponse } from "../../gen/marllb/v1/WatchResponse.js";
import type { Clock } from "../common/clock.js";
import { failStream, UNREAD } from "../common/grpc/errors.js";
import { Outlet, systemTimers } from "../common/stream.js";
import type { Change, HealthRegistry } from "./registry.js";

/** A verdict is some 100 bytes, a message at most 1 MiB. */
const PART = 1000;

export type WatchCall = grpc.ServerWritableStream<WatchRequest__Output, WatchResponse>;

interface Watcher {
  /** Whose servers it asked for; "" = all. */
  instance: string;
  /** null: all that was known is said. */
  out: Outlet<Change | null, WatchResponse>;
}

const keyOf = ({ target: t }: Change): string => `${t.instance}/${t.vipId}/${t.dpEpoch}/${t.serverId}`;

export class Watchers {
  readonly #all = new Set<Watcher>();
  readonly #servers: Pick<HealthRegistry, "all">;

  constructor(
    servers: Pick<HealthRegistry, "all">,
    private readonly clock: Clock,
  ) {
    this.#servers = servers;
  }

  add(call: WatchCall): void {
    const out = new Outlet<Change | null, WatchResponse>(call, {
      pack: (items) => this.#part(items),
      batch: PART,
      timers: systemTimers(this.clock.now),
      onUnread: () => failStream(call, UNREAD),
    });
    const watcher = { instance: call.request.instance, out };
    this.#all.add(watcher);
    const end = (): void => {
      this.#all.delete(watcher);
      out.close();
    };
    call.on("cancelled", end).on("close", end).on("error", end);
    this.#tellAll(watcher);
  }

  tell(changes: readonly Change[]): void {
    for (const { instance, out } of this.#all) {
      const mine = instance === "" ? changes : changes.filter((c) => c.target.instance === instance);
      out.put(mine.map((c) => [keyOf(c), c] as const));
    }
  }

  /** All that is known, to everybody. It is taken from the registry as fast as each reader reads. */
  tellAll(): void {
    for (const watcher of this.#all) this.#tellAll(watcher);
  }

  end(): void {
    for (const watcher of this.#all) watcher.out.end();
  }

  #tellAll({ instance, out }: Watcher): void {
    const servers = this.#servers;
    function* items(): Generator<Change | null> {
      for (const c of servers.all()) if (instance === "" || c.target.instance === instance) yield c;
      yield null;
    }
    out.putAll(items());
  }

  #part(items: readonly (Change | null)[]): WatchResponse {
    const verdicts = items.flatMap((c) => (c === null ? [] : [this.#message(c)]));
    return { verdicts, snapshot: verdicts.length < items.length };
  }

  #message({ target, verdict }: Change): VerdictMessage {
    return {
      instance: target.instance,
      vip_id: target.vipId,
      dp_epoch: target.dpEpoch.toString(),
      server_id: target.serverId,
      address: target.address,
      vip: target.vipName,
      waiting: verdict.waiting,
      state: `HEALTH_STATE_${verdict.state}`,
      reason: verdict.reason,
      since_unix_ms: Math.round(this.clock.unixMs() - (this.clock.now() - verdict.since)),
      rtt_ms: verdict.rttMs,
    };
  }
}
