// SPDX-License-Identifier: Apache-2.0
// The VIPs of the data plane that is attached. Its messages hold a frame of every VIP that it has: who is missing in several in a row
// is gone, and forgotten with all that was kept of it.
import { vipKey } from "../common/identity.js";
import { isOf, type Kept } from "./kept.js";
import type { RawFrame } from "./region.js";
import type { Counters, Vip } from "./vip.js";

/** A frame that was garbled is missing too, so one message says nothing. */
export const ABSENT_LIMIT = 3;
/** Names of VIPs that are gone are remembered for peers that were away meanwhile; the oldest give way. */
const GONE_LIMIT = 256;

export interface GoneVip {
  id: number;
  name: string;
  dpEpoch: bigint;
  birth: bigint;
}

export interface Change {
  born: Vip[];
  /** Of those born, the ones that took over from a VIP before a restart. */
  heirs: Vip[];
  gone: Vip[];
  /** What was kept of VIPs that are not here any more is given up. */
  forgot: boolean;
}

export class Vips {
  readonly #make: (frame: RawFrame) => Vip;
  readonly #guard: (what: string, fn: () => void) => void;
  #here = new Map<number, { vip: Vip; absent: number }>();
  /** Before a restart, by name: what they had in force passes to those of the same name. */
  #former: Map<string, { kept: Kept; counters: Counters | null }>;
  #formerLeft = ABSENT_LIMIT;
  #dpEpoch = 0n;
  #gone = new Map<string, GoneVip>();

  /**
   * `make`: a VIP from its first frame. `guard` runs what a frame that cannot be read makes throw. `kept`: what an agent before this
   * one left.
   */
  constructor(make: (frame: RawFrame) => Vip, guard: (what: string, fn: () => void) => void, kept: readonly Kept[]) {
    this.#make = make;
    this.#guard = guard;
    this.#former = new Map(kept.map((k) => [k.name, { kept: k, counters: null }]));
  }

  /** A message's frames, all of them: each VIP has its own afterwards. */
  message(dpEpoch: bigint, frames: readonly RawFrame[]): Change {
    const change: Change = { born: [], heirs: [], gone: [], forgot: false };
    this.#life(dpEpoch, change);
    const ids = new Set<number>();
    for (const frame of frames) {
      ids.add(frame.vipId);
      this.#guard("frame", () => this.#frame(frame, change));
    }
    for (const [id, h] of this.#here) {
      if (ids.has(id)) h.absent = 0;
      else if (++h.absent >= ABSENT_LIMIT) this.#drop(h.vip, change);
    }
    if (this.#former.size > 0 && --this.#formerLeft <= 0) {
      this.#former.clear();
      change.forgot = true;
    }
    return change;
  }

  find(id: number): Vip | undefined {
    return this.#here.get(id)?.vip;
  }

  all(): Vip[] {
    return [...this.#here.values()].map((h) => h.vip);
  }

  /** For the agent after this one. */
  kept(): Kept[] {
    return [...this.all().map((vip) => vip.kept()), ...[...this.#former.values()].map((f) => f.kept)];
  }

  /** Those that were here in this life of the data plane, by name. */
  gone(): GoneVip[] {
    return [...this.#gone.values()];
  }

  #life(dpEpoch: bigint, change: Change): void {
    if (dpEpoch === this.#dpEpoch) return;
    const first = this.#dpEpoch === 0n;
    this.#dpEpoch = dpEpoch;
    if (first) return;
    this.#former = new Map(this.all().map((vip) => [vip.name, { kept: vip.kept(), counters: vip.counters }]));
    this.#formerLeft = ABSENT_LIMIT;
    change.gone.push(...this.all());
    this.#here.clear();
    this.#gone.clear();
  }

  #frame(frame: RawFrame, change: Change): void {
    const here = this.#here.get(frame.vipId)?.vip;
    if (here !== undefined) {
      if (here.key === vipKey(frame)) {
        here.see(frame);
        return;
      }
      // Its id was given to another.
      this.#drop(here, change);
    }
    const vip = this.#make(frame);
    const former = this.#former.get(vip.name);
    if (former && isOf(former.kept, vip)) {
      vip.inherit(former.kept, former.counters);
      change.heirs.push(vip);
    }
    this.#former.delete(vip.name);
    this.#gone.delete(vip.name);
    this.#here.set(vip.id, { vip, absent: 0 });
    change.born.push(vip);
  }

  #drop(vip: Vip, change: Change): void {
    this.#here.delete(vip.id);
    change.gone.push(vip);
    if (this.all().some((other) => other.name === vip.name)) return;
    this.#gone.delete(vip.name);
    this.#gone.set(vip.name, { id: vip.id, name: vip.name, dpEpoch: vip.dpEpoch, birth: vip.birth });
    for (const oldest of this.#gone.keys()) {
      if (this.#gone.size <= GONE_LIMIT) break;
      this.#gone.delete(oldest);
    }
  }
}
