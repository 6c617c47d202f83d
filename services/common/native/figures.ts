// SPDX-License-Identifier: Apache-2.0
// Figures that the core computes the same way for every program.
import { addon } from "./addon.js";

/** Jain's index: 1 when all are equal or there is nothing, 1/n when one has everything. */
export function jain(values: Iterable<number>): number {
  return addon.jain(Float64Array.from(values));
}
