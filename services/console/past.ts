// SPDX-License-Identifier: Apache-2.0
// What the console remembers of the VIPs and their servers. It is bounded: where there are too many, those that were silent longest go.
import { Ring } from "./ring.js";
import { type ConsoleEvent, concerns, type Past, SERVER_COLUMNS, VIP_COLUMNS, type VipBrief, type VipDetail } from "./wire.js";

/** About 90 KiB each; the servers' are three columns, about 33 KiB each. */
const MAX_VIPS = 256;
const MAX_SERVERS = 2048;
const LONGEST_MS = 86_400_000;

interface Kept {
  vip: Ring;
  servers: Map<string, Ring>;
}

const known = (v: number | null): number => v ?? Number.NaN;

export class Pasts {
  readonly #kept = new Map<string, Kept>();
  #servers = 0;

  put(brief: VipBrief, servers: VipDetail["servers"]): void {
    const kept = this.#of(brief.key);
    const { at } = brief;
    const { flows, newFlows, jain, effectMs } = brief;
    kept.vip.put(at, [flows, newFlows, known(brief.p50), known(brief.p95), known(brief.p99), jain, effectMs, brief.step]);
    for (const s of servers) this.#ring(kept, s.address)?.put(at, [s.share, s.flows, known(s.p95)]);
  }

  read(key: string, until: number, span: number, events: readonly ConsoleEvent[]): Past | null {
    const kept = this.#kept.get(key);
    if (!kept) return null;
    const { tier, step, n } = Ring.tierOf(Math.min(span, LONGEST_MS));
    const columns = <C extends string>(ring: Ring, names: readonly C[]): Record<C, (number | null)[]> =>
      Object.fromEntries(names.map((name, i) => [name, ring.read(tier, i, until, n).map(rounded)])) as Record<
        C,
        (number | null)[]
      >;
    const from = (Math.floor(until / step) - n + 1) * step;
    const servers = [...kept.servers]
      .filter(([, ring]) => ring.at >= from)
      .map(([address, ring]) => ({ address, ...columns(ring, SERVER_COLUMNS) }));
    return {
      key,
      from,
      step,
      n,
      vip: columns(kept.vip, VIP_COLUMNS),
      servers,
      events: events.filter((e) => e.at >= from && concerns(e, key)),
    };
  }

  #of(key: string): Kept {
    let kept = this.#kept.get(key);
    if (!kept) {
      if (this.#kept.size >= MAX_VIPS) this.#drop(oldest([...this.#kept], ([, k]) => k.vip.at)[0]);
      kept = { vip: new Ring(["mean", "mean", "max", "max", "max", "mean", "max", "max"]), servers: new Map() };
      this.#kept.set(key, kept);
    }
    return kept;
  }

  #ring(kept: Kept, address: string): Ring | undefined {
    const found = kept.servers.get(address);
    if (found) return found;
    // Of this VIP a server that left makes room; the first of another VIP's has the same right as this one.
    if (this.#servers >= MAX_SERVERS) {
      if (kept.servers.size === 0) return undefined;
      const [gone, ring] = oldest([...kept.servers], ([, r]) => r.at);
      if (ring.at >= kept.vip.at) return undefined;
      kept.servers.delete(gone);
      this.#servers--;
    }
    const ring = new Ring(["mean", "mean", "max"]);
    kept.servers.set(address, ring);
    this.#servers++;
    return ring;
  }

  #drop(key: string): void {
    this.#servers -= this.#kept.get(key)?.servers.size ?? 0;
    this.#kept.delete(key);
  }
}

const oldest = <T>(all: readonly T[], at: (x: T) => number): T => all.reduce((a, b) => (at(b) < at(a) ? b : a));

/** Four digits are what a picture shows. */
const rounded = (v: number | null): number | null => (v === null ? null : Number(v.toPrecision(4)));
