// SPDX-License-Identifier: Apache-2.0
// Health.Check: one check now, as an operator asks for it. Whoever may talk to this service may ask, so it connects to servers of pools
// only and only so often: it is no prober of a network for anybody.
import type { CheckRequest__Output } from "../../gen/marllb/v1/CheckRequest.js";
import type { CheckResponse } from "../../gen/marllb/v1/CheckResponse.js";
import { ACTIVE_KINDS } from "../common/checks/index.js";
import { type PlannedCheck, placeOf, planOf } from "../common/checks/plan.js";
import { sentTo } from "../common/checks/proxy.js";
import { canonicalAddress, parseHostPort } from "../common/config/address.js";
import type { Config } from "../common/config/load.js";
import { invalid, ServiceError } from "../common/grpc/errors.js";
import { levelOf } from "./demands.js";
import type { CheckResult } from "./verdict.js";

const LONGEST_CHECK_MS = 60_000;
/** So many at once, of a budget that refills at this rate; and so many under way. */
const BURST = 20;
const PER_S = 10;
const MOST_UNDER_WAY = 32;

export interface ByHandOptions {
  /** Whether a load balancer has this server now. */
  known(address: string): boolean;
  probe(check: PlannedCheck, end: (r: CheckResult) => void): void;
  now(): number;
}

export class ByHand {
  #budget = BURST;
  #at: number;
  #underWay = 0;

  constructor(private readonly o: ByHandOptions) {
    this.#at = o.now();
  }

  async check(r: CheckRequest__Output, { health, vips }: Pick<Config, "health" | "vips">): Promise<CheckResponse> {
    if (parseHostPort(r.address) === null) throw invalid("address", `expected HOST:PORT, found "${r.address}"`);
    const configured = ACTIVE_KINDS.includes(health.kind) ? health.kind : ACTIVE_KINDS[0];
    const kind = r.kind || (configured as string);
    if (!ACTIVE_KINDS.includes(kind)) throw invalid("kind", `expected one of ${ACTIVE_KINDS.join(", ")}, found "${r.kind}"`);
    if (kind === "exec" && !health.allow_exec) throw invalid("kind", "exec runs programs: it needs allow_exec: true in health");
    if (r.timeout_ms > LONGEST_CHECK_MS)
      throw invalid("timeout_ms", `expected at most ${LONGEST_CHECK_MS}, found ${r.timeout_ms}`);
    const address = canonicalAddress(r.address);
    if (!this.o.known(address) && !vips.some((v) => v.servers.some((s) => s.address === address)))
      throw new ServiceError("PERMISSION_DENIED", `address: expected a server of a pool that is known here, found ${address}`);
    this.#spend();
    const level = levelOf("", JSON.stringify({ kind, ...(r.path === "" ? {} : { path: r.path }) }));
    const tcp = vips.filter((v) => v.protocol === "tcp");
    const [planned] = planOf(health, "tcp", [level], placeOf(address), sentTo(tcp, address)).checks as [PlannedCheck];
    const result = await this.#probe({ ...planned, timeoutMs: r.timeout_ms || health.timeout_ms });
    const state = result.ok ? "UP" : result.local ? "UNKNOWN" : "DOWN";
    return { state: `HEALTH_STATE_${state}` as const, reason: result.reason, rtt_ms: result.rttMs };
  }

  #spend(): void {
    const now = this.o.now();
    this.#budget = Math.min(BURST, this.#budget + ((now - this.#at) * PER_S) / 1000);
    this.#at = now;
    if (this.#budget < 1 || this.#underWay >= MOST_UNDER_WAY)
      throw new ServiceError(
        "RESOURCE_EXHAUSTED",
        `expected at most ${PER_S} checks by hand a second, and ${MOST_UNDER_WAY} under way: try again`,
      );
    this.#budget--;
  }

  #probe(check: PlannedCheck): Promise<CheckResult> {
    this.#underWay++;
    return new Promise((resolve) => {
      this.o.probe(check, (result) => {
        this.#underWay--;
        resolve(result);
      });
    });
  }
}
