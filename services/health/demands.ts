// SPDX-License-Identifier: Apache-2.0
// How each server is checked. A VIP that this service's own configuration names is checked as it says there; any other as its load balancer's
// configuration says (ReportRequest.checks); both over `health` here, which holds for what neither says.
import { type Plan, placeOf, planOf, planProblem } from "../common/checks/plan.js";
import { type ProxyVersion, sentTo } from "../common/checks/proxy.js";
import { type HealthConfig, type HealthLevel, healthLevel } from "../common/config/health-schema.js";
import type { Config } from "../common/config/load.js";
import { invalid } from "../common/grpc/errors.js";
import type { Protocol } from "../common/native/frame.js";

/** What a load balancer's configuration says of one VIP. */
export interface VipDemand {
  level: HealthLevel | undefined;
  sends: ProxyVersion;
  servers: ReadonlyMap<string, { level: HealthLevel | undefined; sends: ProxyVersion }>;
  /** Equal texts for equal demands. */
  key: string;
}

export interface PlannedVip {
  name: string;
  address: string;
  protocol: Protocol;
  demand: VipDemand | undefined;
}

/** Each of these plans is made once; more than this many, and all are made anew. */
const MAX_KEPT = 100_000;

export class Demands {
  #health: HealthConfig;
  #vips: Config["vips"];
  readonly #kept = new Map<string, Plan>();
  /** Equal plans are one object. */
  readonly #plans = new Map<string, Plan>();

  constructor(config: Pick<Config, "health" | "vips">) {
    this.#health = config.health;
    this.#vips = config.vips;
  }

  reload(config: Pick<Config, "health" | "vips">): void {
    this.#health = config.health;
    this.#vips = config.vips;
    this.#kept.clear();
    this.#plans.clear();
  }

  planFor(vip: PlannedVip, server: string): Plan {
    const own = this.#vips.find((v) => v.name === vip.name && v.protocol === vip.protocol);
    const source = own ? `own ${own.name}` : (vip.demand?.key ?? "");
    const key = `${source}|${vip.protocol}|${vip.address}|${server}`;
    let plan = this.#kept.get(key);
    if (plan) return plan;
    plan = own ? this.#ownPlan(own, vip, server) : this.#demanded(vip, server);
    // What another's configuration demands and this one does not allow is checked as if it had demanded nothing.
    if (planProblem(plan, this.#health.allow_exec) !== null)
      plan = planOf(this.#health, vip.protocol, [], placeOf(server), "off");
    if (this.#kept.size >= MAX_KEPT) {
      this.#kept.clear();
      this.#plans.clear();
    }
    const same = this.#plans.get(plan.key);
    if (!same) this.#plans.set(plan.key, plan);
    this.#kept.set(key, same ?? plan);
    return same ?? plan;
  }

  #ownPlan(own: Config["vips"][number], vip: PlannedVip, server: string): Plan {
    const s = own.servers.find((s) => s.address === server);
    const sends = sentTo(
      this.#vips.filter((v) => v.protocol === vip.protocol),
      server,
      vip.address,
    );
    return planOf(this.#health, vip.protocol, [own.health, s?.health], placeOf(server), sends);
  }

  #demanded({ demand, protocol, address }: PlannedVip, server: string): Plan {
    const s = demand?.servers.get(server);
    const said = s?.sends ?? demand?.sends;
    const sends =
      said ??
      sentTo(
        this.#vips.filter((v) => v.protocol === protocol),
        server,
        address,
      );
    return planOf(this.#health, protocol, [demand?.level, s?.level], placeOf(server), sends);
  }
}

/** A level as a peer sent it, as JSON. */
export function levelOf(field: string, json: string): HealthLevel | undefined {
  if (json === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw invalid(field, "expected JSON");
  }
  const parsed = healthLevel.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalid([field, ...(issue?.path ?? [])].filter((p) => p !== "").join("."), issue?.message ?? "");
}
