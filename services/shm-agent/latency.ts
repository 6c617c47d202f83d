// SPDX-License-Identifier: Apache-2.0
// How often each time to the first byte, or duration, was seen since ever, of a VIP and of each of its servers: the frames' buckets, which count modulo 2^32 and go
// with their record. Nothing here ever falls, so that the sums of several load balancers are right too.
import { BUCKETS } from "../common/histogram.js";
import type { FrameView } from "../common/native/frame.js";

export class LatencyCounts {
  readonly #field: "ttfb_hist" | "duration_hist";
  /** Of all servers that the VIP ever had. */
  readonly vip = new Float64Array(BUCKETS);
  /** By server id, of the frame that was added last. */
  #servers = new Map<number, Float64Array>();
  /** By address: what records counted that are gone, while another has the address. */
  readonly #gone = new Map<string, Float64Array>();
  #ids: Uint32Array = new Uint32Array(0);
  #addresses: readonly string[] = [];
  #last: Uint32Array = new Uint32Array(0);
  #seq = 0n;

  constructor(field: "ttfb_hist" | "duration_hist") {
    this.#field = field;
  }

  /** Adds what was counted since the frame that was added last. At least once while a bucket counts 2^32. */
  add(view: FrameView): void {
    if (view.seq === this.#seq && this.#servers.size > 0) return;
    const now = view.histogram(this.#field);
    const before = new Map(Array.from(this.#ids, (id, i) => [id, i]));
    const servers = new Map<number, Float64Array>();
    view.ids.forEach((id, i) => {
      const own = this.#servers.get(id) ?? new Float64Array(BUCKETS);
      this.#grow(own, now, i * BUCKETS, before.get(id));
      servers.set(id, own);
    });
    const addresses = view.addresses();
    this.#ids.forEach((id, i) => {
      if (!servers.has(id)) this.#left(this.#addresses[i] as string, this.#servers.get(id) as Float64Array);
    });
    for (const address of this.#gone.keys()) if (!addresses.includes(address)) this.#gone.delete(address);
    this.#servers = servers;
    this.#ids = view.ids;
    this.#addresses = addresses;
    this.#last = now;
    this.#seq = view.seq;
  }

  /** Of one address's records, and those of it that are gone. To be read, and at once. */
  of(address: string, ids: readonly number[]): Float64Array {
    const gone = this.#gone.get(address);
    const own = ids.flatMap((id) => this.#servers.get(id) ?? []);
    if (gone === undefined && own.length === 1) return own[0] as Float64Array;
    const sum = new Float64Array(BUCKETS);
    for (const counts of gone ? [gone, ...own] : own) add(sum, counts);
    return sum;
  }

  #grow(own: Float64Array, now: Uint32Array, at: number, before: number | undefined): void {
    const from = before === undefined ? 0 : before * BUCKETS;
    for (let b = 0; b < BUCKETS; b++) {
      const was = before === undefined ? 0 : (this.#last[from + b] as number);
      const growth = ((now[at + b] as number) - was) >>> 0;
      if (growth === 0) continue;
      own[b] = (own[b] as number) + growth;
      this.vip[b] = (this.vip[b] as number) + growth;
    }
  }

  #left(address: string, counts: Float64Array): void {
    const sum = this.#gone.get(address) ?? new Float64Array(BUCKETS);
    add(sum, counts);
    this.#gone.set(address, sum);
  }
}

function add(sum: Float64Array, counts: Float64Array): void {
  for (let b = 0; b < BUCKETS; b++) sum[b] = (sum[b] as number) + (counts[b] as number);
}
