// SPDX-License-Identifier: Apache-2.0
// Steady traffic through the VIP in short runs of marllb-load, one behind the other; every request that fails is one lost.
import { type LoadOptions, load } from "../bench/load.js";

export interface Ledger {
  requests: number;
  lost: number;
  /** What failed, at most the first twenty. */
  failures: string[];
}

/** New connections, and kept ones that live shorter than a drain lasts: nobody may cut them. */
const runs: readonly LoadOptions[] = [
  { mode: "new", rate: 300, seconds: 5, warmup: 0, bytes: 512 },
  { mode: "keepalive", rate: 400, conns: 16, seconds: 5, warmup: 0, bytes: 512 },
];

export const newLedger = (): Ledger => ({ requests: 0, lost: 0, failures: [] });

export async function keepLedger(ledger: Ledger, address: string, cores: number, until: () => boolean): Promise<void> {
  const lane = async (o: LoadOptions, seed: number): Promise<void> => {
    for (let n = 0; !until(); n++) {
      const r = await load(address, { ...o, seed: seed + 10 * n }, cores);
      ledger.requests += r.requests;
      const lost = r.errors + r.timeouts;
      ledger.lost += lost;
      if (lost > 0 && ledger.failures.length < 20)
        ledger.failures.push(`${new Date().toISOString()} ${o.mode}: ${r.errors} errors, ${r.timeouts} time-outs`);
    }
  };
  await Promise.all(runs.map(lane));
}
