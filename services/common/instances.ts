// SPDX-License-Identifier: Apache-2.0
// Who speaks under an instance's name. Two load balancers of one name would overwrite each other's servers with every frame.
import { invalid, ServiceError } from "./grpc/errors.js";

/** A load balancer that said nothing for so long may have been cut off: its name is free for another. */
export const SILENT_MS = 2000;

/** The configuration allows fewer; what comes from outside is held in memory and said in the log. */
const MAX_NAME = 64;

/** A name as a peer sent it. */
export function boundedName(field: string, name: string): string {
  if (name.length > MAX_NAME) throw invalid(field, `expected at most ${MAX_NAME} characters, found ${name.length}`);
  return name;
}

interface Holder<Stream> {
  stream: Stream;
  dpEpoch: bigint;
  at: number;
}

export class Instances<Stream> {
  readonly #holders = new Map<string, Holder<Stream>>();

  /**
   * A frame came. Throws when another stream brings frames of another data plane under the same name. The same stream may come to
   * another data plane, which was restarted, and another stream may bring the same one's.
   */
  speak(instance: string, stream: Stream, dpEpoch: bigint, now: number): void {
    const h = this.#holders.get(boundedName("instance", instance));
    if (h && h.stream !== stream && h.dpEpoch !== dpEpoch && now - h.at < SILENT_MS) {
      throw new ServiceError(
        "FAILED_PRECONDITION",
        `instance: another load balancer is connected under the name "${instance}"; give each its own (instance in its configuration)`,
      );
    }
    if (h) Object.assign(h, { stream, dpEpoch, at: now });
    else this.#holders.set(instance, { stream, dpEpoch, at: now });
  }

  closed(stream: Stream): void {
    for (const [instance, h] of this.#holders) if (h.stream === stream) this.#holders.delete(instance);
  }
}
