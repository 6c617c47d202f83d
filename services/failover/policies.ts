// SPDX-License-Identifier: Apache-2.0
// Policies that operators name, against those that there are here. An order that no inference can follow is refused, and one that the store
// holds already makes a replica not ready, because load balancers stay with the policy before without a word.
import { policyProblem } from "../common/policies.js";

/** A model may be added while the service runs. */
const LOOK_MS = 5000;

export class Policies {
  readonly #wrong = new Map<string, string>();
  #lookAt = 0;

  constructor(
    private readonly models: string,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Why a policy cannot be ordered; null: it can. */
  refusal(policy: string): string | null {
    return policyProblem(policy, this.models);
  }

  /** What the newest intent of a pool names; empty: none. */
  ordered(pool: string, policy: string): void {
    if (policy !== "" && this.refusal(policy) !== null) this.#wrong.set(pool, policy);
    else this.#wrong.delete(pool);
  }

  /** Of all that is ordered; null: all of it is there. */
  problem(): string | null {
    if (this.#wrong.size > 0 && this.now() >= this.#lookAt) {
      this.#lookAt = this.now() + LOOK_MS;
      for (const [pool, policy] of [...this.#wrong]) this.ordered(pool, policy);
    }
    for (const [pool, policy] of this.#wrong) return `pool ${pool}: ${this.refusal(policy)}`;
    return null;
  }
}
