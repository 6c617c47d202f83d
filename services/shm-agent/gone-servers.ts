// SPDX-License-Identifier: Apache-2.0
// What a server had counted before it left and came back, so that its sums never fall. A record's counts begin at 0; it goes once its
// server left the list and its last flow ended. The last counts are those of the frame before: flows that ended in between, at most a
// frame's worth, are missing. (Of a whole VIP the data plane itself counts, across servers.)
import { type FrameView, layout } from "../common/native/frame.js";

/** Fields of a record that only grow. */
export const SUMMED: readonly string[] = layout.serverFields
  .filter((f) => f.role === "counter" || f.role === "integral")
  .map((f) => f.name);

type Sums = Map<string, number>;

export class GoneServers {
  /** By address, for as long as another record has it: a server that left and came back goes on counting. */
  readonly #byAddress = new Map<string, Sums>();

  /** A frame whose list differs from the one before. */
  left(before: FrameView, now: FrameView): void {
    const here = new Set(now.ids);
    before.ids.forEach((id, i) => {
      if (!here.has(id)) this.#add(before, i);
    });
    const addresses = new Set(now.addresses());
    for (const address of this.#byAddress.keys()) if (!addresses.has(address)) this.#byAddress.delete(address);
  }

  get any(): boolean {
    return this.#byAddress.size > 0;
  }

  of(address: string, field: string): number {
    return this.#byAddress.get(address)?.get(field) ?? 0;
  }

  #add(view: FrameView, i: number): void {
    const address = view.addresses()[i] as string;
    let own = this.#byAddress.get(address);
    if (own === undefined) {
      own = new Map();
      this.#byAddress.set(address, own);
    }
    for (const field of SUMMED) {
      own.set(field, (own.get(field) ?? 0) + (view.column(field)[i] as number));
    }
  }
}
