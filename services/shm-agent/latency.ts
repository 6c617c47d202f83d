// SPDX-License-Identifier: Apache-2.0
// How often each time to the first byte, or duration, was seen since ever, of a VIP and of each of its servers: the frames' buckets, which count modulo 2^32 and go
// with their record. Nothing here ever falls, so that the sums of several load balancers are right too.
import { BUCKETS } from "../common/histogram.js";
import type { FrameView } from "../common/native/frame.js";

/** One server's buckets, from `at` on. */
export interface Buckets {
  counts: Float64Array;
  at: number;
}

export class LatencyCounts {
  readonly #field: "ttfb_hist" | "duration_hist";
  /** Of all servers that the VIP ever had. */
  readonly vip = new Float64Array(BUCKETS);
  /** BUCKETS a server, in the order of the frame that was added last: one array each, for a scrape adds the buckets of all VIPs' servers. */
  #servers = new Float64Array(0);
  #places = new Map<number, number>();
  /** By address: what records counted that are gone, while another has the address. */
  readonly #gone = new Map<string, Float64Array>();
  #ids: Uint32Array = new Uint32Array(0);
  #addresses: readonly string[] = [];
  #last: Uint32Array = new Uint32Array(0);
  #seq: bigint | null = null;
  readonly #found: Buckets = { counts: this.#servers, at: 0 };
  readonly #sum = new Float64Array(BUCKETS);

  constructor(field: "ttfb_hist" | "duration_hist") {
    this.#field = field;
  }

  /** Adds what was counted since the frame that was added last. At least once while a bucket counts 2^32. */
  add(view: FrameView): void {
    if (view.seq === this.#seq) return;
    this.#seq = view.seq;
    if (!sameIds(view.ids, this.#ids)) this.#list(view);
    const now = view.histogram(this.#field);
    const { vip } = this;
    const servers = this.#servers;
    const last = this.#last;
    for (let i = 0, b = 0; i < now.length; i++, b = b + 1 === BUCKETS ? 0 : b + 1) {
      const growth = ((now[i] as number) - (last[i] as number)) >>> 0;
      if (growth === 0) continue;
      servers[i] = (servers[i] as number) + growth;
      vip[b] = (vip[b] as number) + growth;
    }
    this.#last = now;
  }

  /** Of one address's records, and those of it that are gone. To be read before the next call. */
  of(address: string, ids: readonly number[]): Buckets {
    const found = this.#found;
    const gone = this.#gone.get(address);
    if (gone === undefined && ids.length === 1) {
      const place = this.#places.get(ids[0] as number);
      if (place !== undefined) {
        found.counts = this.#servers;
        found.at = place * BUCKETS;
        return found;
      }
    }
    const sum = this.#sum.fill(0);
    if (gone) add(sum, gone, 0);
    for (const id of ids) {
      const place = this.#places.get(id);
      if (place !== undefined) add(sum, this.#servers, place * BUCKETS);
    }
    found.counts = sum;
    found.at = 0;
    return found;
  }

  /** Another list of servers: each keeps what it has counted, those that left leave it to their address. */
  #list(view: FrameView): void {
    const { ids } = view;
    const servers = new Float64Array(ids.length * BUCKETS);
    const last = new Uint32Array(ids.length * BUCKETS);
    const places = new Map<number, number>();
    ids.forEach((id, i) => {
      places.set(id, i);
      const was = this.#places.get(id);
      if (was === undefined) return;
      servers.set(this.#servers.subarray(was * BUCKETS, (was + 1) * BUCKETS), i * BUCKETS);
      last.set(this.#last.subarray(was * BUCKETS, (was + 1) * BUCKETS), i * BUCKETS);
    });
    this.#ids.forEach((id, i) => {
      if (places.has(id)) return;
      const address = this.#addresses[i] as string;
      const sum = this.#gone.get(address) ?? new Float64Array(BUCKETS);
      add(sum, this.#servers, i * BUCKETS);
      this.#gone.set(address, sum);
    });
    const addresses = view.addresses();
    for (const address of this.#gone.keys()) if (!addresses.includes(address)) this.#gone.delete(address);
    this.#servers = servers;
    this.#last = last;
    this.#places = places;
    this.#ids = ids;
    this.#addresses = addresses;
  }
}

function sameIds(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function add(sum: Float64Array, counts: Float64Array, at: number): void {
  for (let b = 0; b < BUCKETS; b++) sum[b] = (sum[b] as number) + (counts[at + b] as number);
}
