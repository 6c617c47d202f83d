// SPDX-License-Identifier: Apache-2.0
// An agent's attachment to a data plane's region, and the envelope that every vector passes.
import {
  addon,
  type Composed,
  type Effect,
  type EnvelopeInput,
  type NativeRegion,
  native,
  type PoolVip,
  type Published,
  type RawFrame,
  type Vector,
} from "./addon.js";

export type { Composed, Effect, EnvelopeInput, PoolVip, Published, RawFrame, Vector } from "./addon.js";

/** An attachment to a region, as its one agent. `wake` is called, soon after, when frames or effects were published. */
export class Region {
  readonly instance: string;
  readonly dataplane: string;
  readonly dpEpoch: bigint;
  readonly agentEpoch: bigint;
  /** Period of frames. */
  readonly frameUs: number;
  readonly leaseUs: number;
  readonly workers: number;
  /** The data plane's process. */
  readonly dpPid: number;
  readonly #region: NativeRegion;
  #flush: NodeJS.Immediate | null = null;

  constructor(file: string, wake: () => void) {
    this.#region = native(() => new addon.Region(file, wake));
    const i = this.#region.info();
    this.instance = i.instance;
    this.dataplane = i.dataplane;
    this.dpEpoch = i.dpEpoch;
    this.agentEpoch = i.agentEpoch;
    this.frameUs = i.frameUs;
    this.leaseUs = i.leaseUs;
    this.workers = i.workers;
    this.dpPid = i.dpPid;
  }

  /** Every VIP's frame of the newest message; null where none came since the last call. A VIP without a frame in it was absent. */
  frames(): RawFrame[] | null {
    return native(() => this.#region.frames());
  }

  /** Every VIP's last effect, if one is newer than the last call. */
  effects(): Effect[] {
    return native(() => this.#region.effects());
  }

  /**
   * Runs the envelope and, unless it refuses, publishes the result beside the other VIPs' last vectors: at once, or where there are so many that
   * the message is long, with those of the answers that came together.
   */
  publish(vector: Vector): Published {
    const published = native(() => this.#region.publish(vector));
    if (this.#flush === null && this.#region.due()) this.#flush = setImmediate(() => this.#write());
    return published;
  }

  #write(): void {
    this.#flush = null;
    native(() => this.#region.flush());
  }

  /** The envelope by itself, without publishing. */
  compose(input: EnvelopeInput): Composed {
    return compose(input);
  }

  /** The wanted server lists of all VIPs that have one; replaces what was published before. */
  publishPools(pools: readonly PoolVip[]): void {
    native(() => this.#region.publishPools(pools));
  }

  /** Advances the agent's heartbeat: only after a tick was composed. */
  beat(): void {
    native(() => this.#region.beat());
  }

  /** The data plane's own heartbeat: its main thread advances it at least every 100 ms. */
  heartbeat(): bigint {
    return native(() => this.#region.heartbeat());
  }

  /** True where the path names another region by now: the data plane was restarted. */
  replaced(): boolean {
    return native(() => this.#region.replaced());
  }

  /** Stops the waiting thread and lets go; calling it again does nothing. */
  close(): void {
    if (this.#flush !== null) clearImmediate(this.#flush);
    this.#region.close();
  }
}

export function attachRegion(file: string, wake: () => void): Region {
  return new Region(file, wake);
}

/** The envelope by itself, without publishing. */
export function compose(input: EnvelopeInput): Composed {
  return native(() => addon.compose(input));
}
