// SPDX-License-Identifier: Apache-2.0
// A VIP's servers as dashboards know them: by address. While old flows run of a server that left and came back, two records have one
// address: then counts are those of both, and what is in effect is the member's.
import { labelText } from "../common/metrics.js";
import { type FrameView, memberIds } from "../common/native/frame.js";
import { SUMMED } from "./gone-servers.js";
import type { Vip } from "./vip.js";

export interface ServerRow {
  address: string;
  /** Of its metrics: the VIP and itself. */
  labels: string;
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
    const byAddress = new Map<string, { address: string; labels: string; records: number[]; member: number }>();
    view.addresses().forEach((address, i) => {
      let row = byAddress.get(address);
      if (row === undefined) {
        row = { address, labels: labelText({ vip: view.name, server: address }), records: [], member: i };
        byAddress.set(address, row);
      }
      row.records.push(i);
      if (view.ids[i] === members.get(address)) row.member = i;
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
  let now = 0;
  for (const i of row.records) now += column[i] as number;
  return summed.has(field) ? now + vip.gone.of(row.address, field) : now;
}
