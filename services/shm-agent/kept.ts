// SPDX-License-Identifier: Apache-2.0
// What of a VIP is in force by order, and survives a restart of the agent, of the data plane, or of both: by name and by addresses, since
// ids belong to one life of a data plane. Pure.
import { type FrameView, memberIds } from "../common/native/frame.js";
import type { DirectiveState } from "./compose.js";
import type { PoolVip } from "./region.js";

export interface KeptOrder {
  term: bigint;
  factors: { address: string; value: number }[];
  /** enum mlb_vip_state. */
  state: number;
  loadBalancers: number;
  loadBalancer: number;
  /** `mode`: enum mlb_mode; 0 = leave as it is. */
  override: { weights: { address: string; value: number }[]; mode: number; reason: string } | null;
  fallback: boolean;
  policy: string;
  newcomersWait: boolean;
}

export interface Kept {
  name: string;
  dpEpoch: bigint;
  birth: bigint;
  order: KeptOrder;
  pool: Pick<PoolVip, "managed" | "revision" | "servers"> | null;
}

/** Is `vip` the one of which this was kept? Another VIP may have its name, or its id, in the same life of the data plane. */
export function isOf(kept: Kept, vip: { name: string; dpEpoch: bigint; birth: bigint }): boolean {
  return kept.name === vip.name && (kept.dpEpoch !== vip.dpEpoch || kept.birth === vip.birth);
}

export function orderByAddress(d: DirectiveState, view: FrameView): KeptOrder {
  const addresses = new Map<number, string>();
  for (const [i, address] of view.addresses().entries()) addresses.set(view.ids[i] as number, address);
  const named = (values: ReadonlyMap<number, number>) =>
    [...values].flatMap(([id, value]) => {
      const address = addresses.get(id);
      return address === undefined ? [] : [{ address, value }];
    });
  // What is to be closed was closed, or is said again. Which masks are no orders failover says again; until then all are kept.
  const { factors, override, closing: _, lastResort: __, generation: ___, ...rest } = d;
  return { ...rest, factors: named(factors), override: override && { ...override, weights: named(override.weights) } };
}

export function orderById(kept: KeptOrder, view: FrameView): DirectiveState {
  const ids = memberIds(view);
  const numbered = (values: readonly { address: string; value: number }[]) =>
    new Map(
      values.flatMap(({ address, value }) => {
        const id = ids.get(address);
        return id === undefined ? [] : [[id, value] as const];
      }),
    );
  const { factors, override, ...rest } = kept;
  const weights = numbered(override?.weights ?? []);
  return {
    ...rest,
    closing: new Set(),
    lastResort: new Set(),
    generation: view.generation,
    factors: numbered(factors),
    override: override && weights.size > 0 ? { ...override, weights } : null,
  };
}
