// SPDX-License-Identifier: Apache-2.0
// The exchange of live counts with other load balancers, on a native thread of its own.
import { addon, type CountsFigures, type CountsOptions, type NativeCounts, native } from "./addon.js";

export type { CountsFigures, CountsOptions, CountsPeer } from "./addon.js";

export class Counts {
  readonly #counts: NativeCounts;

  /** Listens at once, and attaches to the region whenever it is there. Throws where the address cannot be had. */
  constructor(options: CountsOptions) {
    this.#counts = native(() => new addon.Counts(options));
  }

  get port(): number {
    return native(() => this.#counts.port());
  }

  /** Whom to send to, as IP:PORT. Nobody: nothing is sent, and the data plane is asked for nothing. */
  members(addresses: readonly string[]): void {
    native(() => this.#counts.members(addresses));
  }

  figures(): CountsFigures {
    return native(() => this.#counts.figures());
  }

  /** Ends the thread; calling it again does nothing. */
  close(): void {
    this.#counts.close();
  }
}
