// SPDX-License-Identifier: Apache-2.0
// Seeded draws, so that two runs see the same arrivals and sizes.

export type Random = () => number;

/** splitmix32: uniform in [0, 1). */
export function random(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

export function exponential(uniform: Random, mean: number): number {
  return -Math.log(1 - uniform()) * mean;
}
