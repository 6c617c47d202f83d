// SPDX-License-Identifier: Apache-2.0
// What the data planes themselves say of a pool's members, all together: beside our orders, this decides who gets flows.
import { canonicalAddress } from "../common/config/address.js";
import type { FrameView } from "../common/native/frame.js";
import { ServerFlag } from "../common/vocabulary.js";

export interface Seen {
  flows: number;
  /** By a data plane's own list: its configuration, command line or API. */
  draining: boolean;
  ejected: boolean;
}

const isLeaving = (view: FrameView, i: number): boolean => ((view.flags[i] as number) & ServerFlag.LEAVING) !== 0;

/** Records of servers that left its list and have flows yet. */
export const leavingIn = (view: FrameView): number[] => [...view.ids].filter((_, i) => isLeaving(view, i));

/** The members of a data plane's list. */
export function serversOf(view: FrameView): { id: number; address: string; weight: number }[] {
  return view.addresses().flatMap((a, i) => {
    if (isLeaving(view, i)) return [];
    return [{ id: view.ids[i] as number, address: canonicalAddress(a), weight: view.weightStatic[i] as number }];
  });
}

/** Members that its data plane gives no new flows by an order; one without an order has none. */
export function maskedIn(view: FrameView): string[] {
  if (view.term === 0n) return [];
  const factor = view.column("factor");
  return view.addresses().flatMap((a, i) => (isLeaving(view, i) || factor[i] !== 0 ? [] : [canonicalAddress(a)]));
}

export function seenIn(frames: Iterable<FrameView>): Map<string, Seen> {
  const all = new Map<string, Seen>();
  for (const view of frames) {
    view.addresses().forEach((a, i) => {
      const key = canonicalAddress(a);
      // A record that is leaving still has flows; whether it drained says nothing of a member of the same address.
      const flags = isLeaving(view, i) ? 0 : (view.flags[i] as number);
      const before = all.get(key) ?? { flows: 0, draining: false, ejected: false };
      all.set(key, {
        flows: before.flows + (view.flows[i] as number),
        draining: before.draining || (flags & ServerFlag.DRAINING) !== 0,
        ejected: before.ejected || (flags & ServerFlag.EJECTED) !== 0,
      });
    });
  }
  return all;
}

/** A member's factor and its reason, as people see them: ours first, else the data planes'. */
export function shownShare(
  ours: { factor: number; reason: string } | undefined,
  seen: Seen | undefined,
): { factor: number; reason: string } {
  const share = ours ?? { factor: 1, reason: "" };
  if (share.reason !== "" && share.factor === 0) return share;
  if (seen?.draining) return { factor: 0, reason: "draining by the data plane's own list" };
  return seen?.ejected && share.reason === "" ? { ...share, reason: "ejected by the data plane" } : share;
}
