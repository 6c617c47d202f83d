// SPDX-License-Identifier: Apache-2.0
// A VIP's servers as dashboards know them: by address. While old flows run of a server that left and came back, two records have one
// address: then counts are those of both, and what is in effect is the member's.
import { type FrameView, memberIds } from "../common/native/frame.js";
import { SUMMED } from "./gone-servers.js";
import type { Vip } from "./vip.js";

export interface ServerRow {
  address: string;
  /** Records of this address, by their place in the frame. */
  records: readonly number[];
  /** The one that takes new flows; where none does, the one that is leaving. */
  member: number;
}

const rows = new WeakMap<FrameView, ServerRow[]>();

export function serverRows(view: FrameView): readonly ServerRow[] {
  let found = rows.get(view);
  if (found === undefined) {
    const members = memberIds(view);
    const byAddress = new Map<string, { address: string; records: number[]; member: number }>();
    view.addresses().forEach((address, i) => {
      const row = byAddress.get(address) ?? { address, records: [], member: i };
      row.records.push(i);
      if (view.ids[i] === members.get(address)) row.member = i;
      byAddress.set(address, row);
    });
    found = [...byAddress.values()];
    rows.set(view, found);
  }
  return found;
}

const summed: ReadonlySet<string> = new Set(SUMMED);

/** A field that adds up, over the records of one address and those that are gone. */
export function sumOf(vip: Vip, row: ServerRow, field: string): number {
  const column = vip.view.column(field);
  const now = row.records.reduce((n, i) => n + (column[i] as number), 0);
  return summed.has(field) ? now + vip.gone.of(row.address, field) : now;
}
