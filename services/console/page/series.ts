// SPDX-License-Identifier: Apache-2.0
// What the charts draw: the past as the server remembers it, and each moment since. Columns in step with one time axis. Pure.
import {
  type Live,
  type Past,
  SERVER_COLUMNS,
  type ServerColumn,
  type ServerNow,
  VIP_COLUMNS,
  type VipBrief,
  type VipColumn,
} from "../wire.js";

type Column = (number | null)[];

export class Series {
  readonly key: string;
  readonly step: number;
  /** Seconds since 1970, one a step. */
  readonly t: number[] = [];
  readonly vip = {} as Record<VipColumn, Column>;
  readonly servers = new Map<string, Record<ServerColumn, Column>>();
  readonly #n: number;

  constructor(past: Past) {
    this.key = past.key;
    this.step = past.step;
    this.#n = past.n;
    for (let i = 0; i < past.n; i++) this.t.push((past.from + i * past.step) / 1000);
    for (const c of VIP_COLUMNS) this.vip[c] = [...past.vip[c]];
    for (const { address, share, flows, p95 } of past.servers)
      this.servers.set(address, { share: [...share], flows: [...flows], p95: [...p95] });
  }

  /** From when to when it is drawn, in seconds: what was heard, and a minute at least. */
  get drawn(): [from: number, to: number] {
    const to = this.t.at(-1) ?? 0;
    const first =
      this.t[
        Math.max(
          0,
          this.vip.flows.findIndex((v) => v !== null),
        )
      ] ?? to;
    return [Math.max(this.t[0] ?? to, Math.min(first, to - 60)), to];
  }

  /** Picks every so-manieth of a column's moments, always the same ones, and the newest. */
  moments(every: number): <T>(column: readonly T[]) => readonly T[] {
    if (every <= 1) return (column) => column;
    const last = this.t.length - 1;
    const kept = this.t.flatMap((t, i) => (Math.round((1000 * t) / this.step) % every === 0 || i === last ? [i] : []));
    return (column) => kept.map((i) => column[i] as (typeof column)[number]);
  }

  /** A moment. Only where the steps are as fine as the messages; else the server's past is read again. */
  add({ at, vips, detail }: Pick<Live, "at" | "vips" | "detail">): void {
    const brief = vips.find((v) => v.key === this.key);
    if (!brief || brief.stale) this.#advance(at);
    else {
      this.#advance(brief.at);
      this.#put(brief, detail?.key === this.key ? detail.servers : []);
    }
  }

  #put(brief: VipBrief, servers: readonly ServerNow[]): void {
    const last = this.t.length - 1;
    // Late, after a gap that was drawn as one: its place is gone.
    if (Math.floor(brief.at / this.step) !== Math.round((1000 * (this.t[last] as number)) / this.step)) return;
    for (const c of VIP_COLUMNS) this.vip[c][last] = c === "ladder" ? brief.step : brief[c];
    for (const s of servers) {
      let columns = this.servers.get(s.address);
      if (!columns) {
        columns = { share: this.#empty(), flows: this.#empty(), p95: this.#empty() };
        this.servers.set(s.address, columns);
      }
      for (const c of SERVER_COLUMNS) columns[c][last] = s[c];
    }
  }

  #empty(): Column {
    return this.t.map(() => null);
  }

  /** Makes the step of `at` the newest; steps between stay unknown. */
  #advance(at: number): void {
    const wanted = Math.floor(at / this.step);
    const newest = Math.round((1000 * (this.t.at(-1) ?? 0)) / this.step);
    const missing = Math.min(this.#n, wanted - newest);
    for (let i = missing - 1; i >= 0; i--) {
      this.t.push(((wanted - i) * this.step) / 1000);
      for (const column of this.#columns()) column.push(null);
    }
    const over = this.t.length - this.#n;
    if (over <= 0) return;
    this.t.splice(0, over);
    for (const column of this.#columns()) column.splice(0, over);
    for (const [address, columns] of this.servers) if (columns.share.every((v) => v === null)) this.servers.delete(address);
  }

  *#columns(): Iterable<Column> {
    yield* Object.values(this.vip);
    for (const columns of this.servers.values()) yield* Object.values(columns);
  }
}

/** At most `n` values of a column, each the mean of its part; for a small picture. */
export function thinned(column: Column, n: number): Column {
  if (column.length <= n) return column;
  return Array.from({ length: n }, (_, i) => {
    const part = column.slice(Math.floor((i * column.length) / n), Math.floor(((i + 1) * column.length) / n));
    const known = part.filter((v) => v !== null);
    return known.length === 0 ? null : known.reduce((a, b) => a + b, 0) / known.length;
  });
}
