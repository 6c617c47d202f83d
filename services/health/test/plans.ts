// SPDX-License-Identifier: Apache-2.0
// Plans of checks for tests.
import { type Plan, placeOf, planOf } from "../../common/checks/plan.js";
import { type HealthLevel, health } from "../../common/config/health-schema.js";

export function plan(server: string, level: HealthLevel = {}, protocol: "tcp" | "udp" = "tcp"): Plan {
  return planOf(health.parse({}), protocol, [level], placeOf(server), "off");
}
