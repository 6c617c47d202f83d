// SPDX-License-Identifier: Apache-2.0
// Random damage to bytes, reproducible by its seed.

export class Mutator {
  private s: number;
  constructor(seed: number) {
    this.s = seed >>> 0 || 1;
  }

  /** Uniform in [0, n) (xorshift32, Marsaglia 2003). */
  below(n: number): number {
    this.s ^= this.s << 13;
    this.s ^= this.s >>> 17;
    this.s ^= this.s << 5;
    return (this.s >>> 0) % n;
  }

  /** A copy with one to eight bytes changed, cut out, put in or repeated, or the end cut off. */
  mutate(good: Buffer): Buffer {
    let b = Buffer.from(good);
    for (let n = 1 + this.below(8); n > 0; n--) {
      const at = this.below(b.length + 1);
      switch (this.below(6)) {
        case 0:
          if (at < b.length) b[at] = this.below(256);
          break;
        case 1:
          if (at < b.length) b[at] = (b[at] as number) ^ (1 << this.below(8));
          break;
        case 2:
          b = Buffer.concat([b.subarray(0, at), b.subarray(Math.min(b.length, at + 1 + this.below(8)))]);
          break;
        case 3:
          b = Buffer.concat([
            b.subarray(0, at),
            Buffer.from(Array.from({ length: 1 + this.below(8) }, () => this.below(256))),
            b.subarray(at),
          ]);
          break;
        case 4:
          if (this.below(8) === 0) b = b.subarray(0, at);
          break;
        default:
          if (at < b.length) b[at] = [0, 0x7f, 0x80, 0xff][this.below(4)] as number;
      }
    }
    return b;
  }
}
