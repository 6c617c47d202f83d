// SPDX-License-Identifier: Apache-2.0
// StreamStats: who watches which VIP, and when each is due its next message.
import type * as grpc from "@grpc/grpc-js";
import type { StreamStatsRequest__Output } from "../../gen/marllb/v1/StreamStatsRequest.js";
import type { StreamStatsResponse } from "../../gen/marllb/v1/StreamStatsResponse.js";
import { failStream, ServiceError } from "../common/grpc/errors.js";
import type { Vip } from "./vip.js";

export type StatsCall = grpc.ServerWritableStream<StreamStatsRequest__Output, StreamStatsResponse>;

interface Watcher {
  /** null: all of them. */
  vip: Vip | null;
  everyMs: number;
  /** When the last message of each VIP went out, in ms of the service's clock. */
  sent: WeakMap<Vip, number>;
}

export class StatsStreams {
  readonly #watchers = new Map<StatsCall, Watcher>();

  add(call: StatsCall, vip: Vip | null): void {
    this.#watchers.set(call, { vip, everyMs: call.request.every_ms, sent: new WeakMap() });
    const end = (): void => void this.#watchers.delete(call);
    call.on("cancelled", end).on("close", end).on("error", end);
  }

  /** A frame of `vip` came at `nowMs`. */
  onFrame(vip: Vip, nowMs: number, stats: () => StreamStatsResponse): void {
    for (const [call, w] of this.#watchers) {
      if (w.vip !== null && w.vip !== vip) continue;
      // A reader that is slow gets fewer messages, never older ones.
      if (nowMs - (w.sent.get(vip) ?? Number.NEGATIVE_INFINITY) < w.everyMs || call.writableNeedDrain) continue;
      w.sent.set(vip, nowMs);
      call.write(stats());
    }
  }

  onGone(vip: Vip): void {
    for (const [call, w] of this.#watchers) {
      if (w.vip === vip) failStream(call, new ServiceError("NOT_FOUND", `vip_id: VIP ${vip.id} (${vip.name}) is gone`));
    }
  }

  end(): void {
    for (const call of this.#watchers.keys()) call.end();
  }
}
