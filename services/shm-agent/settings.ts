// SPDX-License-Identifier: Apache-2.0
// What the configuration says of a VIP, as the tick needs it.
import type { Config } from "../common/config/load.js";
import { trustOf } from "../common/vocabulary.js";
import type { VipSettings } from "./vip.js";

/** A VIP that the configuration does not name (made on the data plane's command line) has the defaults, and Kalman. */
export function settingsOf(config: Config, name: string): VipSettings {
  const v = config.vips.find((vip) => vip.name === name);
  const trust = v?.trust ?? "hint";
  return {
    policy: v?.policy ?? "kalman",
    trust: typeof trust === "number" ? trust : trustOf(trust),
    kappa: v?.kappa ?? 0,
    stepRatio: config.envelope.step_ratio,
    ejectedCap: config.envelope.ejected_cap,
    loadBalancers: v?.load_balancers ?? 1,
  };
}
