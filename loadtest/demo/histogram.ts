// SPDX-License-Identifier: Apache-2.0
// Latencies in buckets of 1 %: fixed memory however long a run lasts, and every percentile within that 1 %.

const growth = Math.log(1.01);
const leastMs = 0.001;

export class Histogram {
  #buckets = new Map<number, number>();
  #count = 0;
  #sum = 0;
  #max = 0;

  add(ms: number): void {
    const bucket = Math.max(0, Math.ceil(Math.log(Math.max(ms, leastMs) / leastMs) / growth));
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    this.#count++;
    this.#sum += ms;
    this.#max = Math.max(this.#max, ms);
  }

  get count(): number {
    return this.#count;
  }

  get mean(): number {
    return this.#count === 0 ? Number.NaN : this.#sum / this.#count;
  }

  get max(): number {
    return this.#max;
  }

  /** The smallest bucket bound that holds at least the share p of all values; NaN when empty. */
  percentile(p: number): number {
    if (this.#count === 0) return Number.NaN;
    let below = 0;
    for (const [bucket, n] of [...this.#buckets].sort((a, b) => a[0] - b[0])) {
      below += n;
      if (below >= p * this.#count) return leastMs * Math.exp(bucket * growth);
    }
    return this.#max;
  }

  clear(): void {
    this.#buckets.clear();
    this.#count = this.#sum = this.#max = 0;
  }
}
