// SPDX-License-Identifier: Apache-2.0
// Messages as an agent and failover send them.
import type { GetPoolResponse__Output as Pool } from "../../../gen/marllb/v1/GetPoolResponse.js";
import type { GetStatusResponse__Output as Status } from "../../../gen/marllb/v1/GetStatusResponse.js";
import type { StreamStatsResponse__Output as Stats } from "../../../gen/marllb/v1/StreamStatsResponse.js";
import type { VipStatus__Output as VipStatus } from "../../../gen/marllb/v1/VipStatus.js";

export const status = (instance: string): Status =>
  ({
    instance,
    attached: true,
    why_not: "",
    vips: [],
    peers: [{ name: "inference", address: "127.0.0.1:50052", state: "ready" }],
  }) as unknown as Status;

type Server = Partial<Stats["servers"][number]> & { address: string };

export const stats = (vip: Partial<VipStatus>, servers: readonly Server[]): Stats =>
  ({
    vip: {
      vip_id: 1,
      name: "web",
      address: "127.0.0.1:8080",
      mode: "MODE_SED",
      policy: "marl",
      ladder: "LADDER_MODEL",
      state: "VIP_STATE_NORMAL",
      source: "inference",
      turn_of: "order",
      effect_ms: 1.5,
      last_refusal: "",
      ...vip,
    },
    servers: servers.map((s) => ({
      state: "up",
      weight_static: 1,
      share: 1 / servers.length,
      factor: 1,
      flows: 0,
      new_flows: "0",
      ttfb_p50_ms: 10,
      ttfb_p95_ms: 20,
      ttfb_p99_ms: 30,
      ...s,
    })),
    jain: 0.9,
    new_flows_per_s: 12,
    ttfb_p50_ms: 10,
    ttfb_p95_ms: 20,
    ttfb_p99_ms: Number.POSITIVE_INFINITY,
  }) as unknown as Stats;

export const pool = (members: { address: string; reason?: string; holds?: object[] }[], more: object = {}): Pool =>
  ({
    term: "5",
    pool: { managed: false },
    override: null,
    policy: null,
    load_balancers: [],
    members: members.map((m) => ({ server: { address: m.address }, health: "HEALTH_FACT_UP", reason: "", holds: [], ...m })),
    ...more,
  }) as unknown as Pool;
