// SPDX-License-Identifier: Apache-2.0
// A VIP's servers as dashboards know them: by address. While old flows run of a server that left and came back, two records have one
// address: then counts are those of both, and what is in effect is the member's.
import { labelText } from "../common/metrics.js";
import { type FrameView, memberIds } from "../common/native/frame.js";
import { ServerFlag } from "../common/vocabulary.js";
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

/** Ids are a data plane's own; another one, or another VIP of its, counts them anew. */
type Servers = Pick<FrameView, "dpEpoch" | "birth" | "ids" | "flags">;
interface Known extends Servers {
  rows: readonly ServerRow[];
}

const known = new WeakMap<Vip, Known>();

/** The same rows, and their labels' texts, for as long as the same servers are there. */
export function serverRows(vip: Vip): readonly ServerRow[] {
  const { dpEpoch, birth, ids, flags } = vip.view;
  let found = known.get(vip);
  if (found === undefined || !sameServers(found, vip.view)) {
    found = { dpEpoch, birth, ids, flags, rows: rowsOf(vip.view) };
    known.set(vip, found);
  }
  return found.rows;
}

function sameServers(before: Servers, { dpEpoch, birth, ids, flags }: Servers): boolean {
  if (before.dpEpoch !== dpEpoch || before.birth !== birth || before.ids.length !== ids.length) return false;
  for (let i = 0; i < ids.length; i++) {
    if (before.ids[i] !== ids[i]) return false;
    if ((((before.flags[i] as number) ^ (flags[i] as number)) & ServerFlag.LEAVING) !== 0) return false;
  }
  return true;
}

function rowsOf(view: FrameView): ServerRow[] {
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
  return [...byAddress.values()];
}

const summed: ReadonlySet<string> = new Set(SUMMED);

/** A field that adds up, over the records of one address and those that are gone. */
export function sumOf(vip: Vip, field: string): (row: ServerRow) => number {
  const column = vip.view.column(field);
  const gone = summed.has(field) && vip.gone.any ? vip.gone : null;
  return ({ address, records }) => {
    let now = gone?.of(address, field) ?? 0;
    for (const i of records) now += column[i] as number;
    return now;
  };
}
