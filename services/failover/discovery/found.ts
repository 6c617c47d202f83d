// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress } from "../../common/config/address.js";
import type { Wanted } from "../intent.js";

/** A server, as a name or a file has it. */
export interface Found extends Wanted {
  /** Servers of a higher number stand by for those of a lower (RFC 2782). */
  priority: number;
}

/** Each address once: the weights of its entries added, the first of its priorities. In one order, whoever found them. */
export function distinct(list: readonly Found[]): Found[] {
  const all = new Map<string, Found>();
  for (const { address, weight, priority } of list) {
    const key = canonicalAddress(address);
    const before = all.get(key);
    all.set(key, {
      address: key,
      weight: weight + (before?.weight ?? 0),
      priority: Math.min(priority, before?.priority ?? priority),
    });
  }
  return [...all.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
}
