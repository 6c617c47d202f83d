// SPDX-License-Identifier: Apache-2.0
// The way to the data plane: finds its region, attaches, notices when it was replaced by another and when its heartbeat stands still.
import type { Logger } from "../common/log.js";
import type { AttachRegion, RegionPort } from "./region.js";

const LOOK_MS = 100;
/** The data plane beats every 100 ms. On a busy machine it may be late; what lives is not taken for dead, and death is seen within 2 s. */
export const STALL_MS = 1500;

export interface AttachmentOptions {
  path: string;
  log: Logger;
  now(): number;
  attach: AttachRegion;
  /** The data plane lives: at first, and again after its heartbeat stood still. */
  onAlive(region: RegionPort): void;
  /** It published frames or effects. */
  onWake(region: RegionPort): void;
  guard(what: string, fn: () => void): void;
}

export class Attachment {
  readonly #o: AttachmentOptions;
  #region: RegionPort | null = null;
  #reason = "not tried yet";
  #alive = false;
  #beat = 0n;
  #beatAtMs = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(o: AttachmentOptions) {
    this.#o = o;
  }

  /** Of a data plane that lives. */
  get region(): RegionPort | null {
    return this.#alive ? this.#region : null;
  }

  /** Why there is none, as people read it. */
  get reason(): string {
    return this.#alive ? "" : this.#reason;
  }

  start(): void {
    this.look();
    this.#timer = setInterval(() => this.#o.guard("attach", () => this.look()), LOOK_MS);
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#letGo("the agent stops");
  }

  look(): void {
    if (this.#region?.replaced()) {
      this.#o.log.warn("the data plane was restarted: attaching anew");
      this.#letGo("the data plane was restarted");
    }
    if (this.#region === null) this.#attach();
    if (this.#region !== null) this.#listen(this.#region);
  }

  #attach(): void {
    const { path, log, attach, now, guard } = this.#o;
    let region: RegionPort;
    try {
      region = attach(path, () => guard("frames", () => this.#woken(region)));
    } catch (e) {
      this.#say((e as Error).message);
      return;
    }
    log.info({ dataplane: region.dataplane, agentEpoch: String(region.agentEpoch), frameUs: region.frameUs }, "attached");
    this.#region = region;
    this.#beat = region.heartbeat();
    this.#beatAtMs = now();
    // A data plane that was killed leaves its region behind: until it beats, nothing is believed of it.
    this.#reason = `${region.dataplane} has not shown a heartbeat yet`;
  }

  #woken(region: RegionPort): void {
    if (region !== this.#region) return;
    this.#listen(region);
    if (this.#alive) this.#o.onWake(region);
  }

  #listen(region: RegionPort): void {
    const beat = region.heartbeat();
    const now = this.#o.now();
    if (beat !== this.#beat) {
      this.#beat = beat;
      this.#beatAtMs = now;
      if (this.#alive) return;
      this.#alive = true;
      this.#reason = "";
      this.#o.onAlive(region);
    } else if (now - this.#beatAtMs >= STALL_MS) {
      this.#alive = false;
      this.#say(`the heartbeat of ${region.dataplane} stands still: it was killed, or it hangs`);
    }
  }

  #say(reason: string): void {
    if (reason !== this.#reason) this.#o.log.warn({ reason }, "no data plane, trying on");
    this.#reason = reason;
  }

  #letGo(reason: string): void {
    this.#region?.close();
    this.#region = null;
    this.#alive = false;
    this.#reason = reason;
  }
}
