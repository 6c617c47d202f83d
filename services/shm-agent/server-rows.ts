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
  /** The same with the state that it was in at the last scrape. */
  stated: { state: string; labels: string };
  /** Ids of the records. */
  ids: readonly number[];
  /** Records of this address, by their place in the frame. */
  records: readonly number[];
  /** The one that takes new flows; where none does, the one that is leaving. */
  member: number;
}

/** Ids are a data plane's own; another one, or another VIP of its, counts them anew. */
type Servers = Pick<FrameView, "dpEpoch" | "birth" | "ids" | "flags">;
interface Known extends Servers {
  /** The last frame that was asked about: a scrape asks many times. */
  view: FrameView;
  rows: readonly ServerRow[];
}

const known = new WeakMap<Vip, Known>();

/** The same rows, and their labels' texts, for as long as the same servers are there. */
export function serverRows(vip: Vip): readonly ServerRow[] {
  const { view } = vip;
  let found = known.get(vip);
  if (found?.view === view) return found.rows;
  if (found === undefined || !sameServers(found, view)) {
    const { dpEpoch, birth, ids, flags } = view;
    found = { view, dpEpoch, birth, ids, flags, rows: rowsOf(view) };
    known.set(vip, found);
  }
  found.view = view;
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
  const byAddress = new Map<string, ServerRow & { ids: number[]; records: number[] }>();
  view.addresses().forEach((address, i) => {
    let row = byAddress.get(address);
    if (row === undefined) {
      const labels = labelText({ vip: view.name, server: address });
      row = { address, labels, stated: { state: "", labels: "" }, ids: [], records: [], member: i };
      byAddress.set(address, row);
    }
    row.records.push(i);
    row.ids.push(view.ids[i] as number);
    if (view.ids[i] === members.get(address)) row.member = i;
  });
  return [...byAddress.values()];
}

/** The labels of a row in a state, made anew only where that has changed. */
export function labelsIn(row: ServerRow, state: string): string {
  const { stated } = row;
  if (stated.state !== state) {
    stated.state = state;
    stated.labels = `${row.labels},state="${state}"`;
  }
  return stated.labels;
}

const summed: ReadonlySet<string> = new Set(SUMMED);

/** A field that adds up, over the records of one address and those that are gone. */
export function sumOf(vip: Vip, field: string): (row: ServerRow) => number {
  const column = vip.view.column(field);
  const gone = summed.has(field) && vip.gone.any ? vip.gone : null;
  return ({ address, records }) => {
    if (gone === null && records.length === 1) return column[records[0] as number] as number;
    let now = gone?.of(address, field) ?? 0;
    for (const i of records) now += column[i] as number;
    return now;
  };
}
