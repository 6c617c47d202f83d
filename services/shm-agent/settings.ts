// SPDX-License-Identifier: Apache-2.0
// What the configuration says of a VIP, as the tick needs it.
import type { Config } from "../common/config/load.js";
import type { VipSettings } from "./vip.js";

/** c of the envelope: shares stay within e^-c..e^c of the configured ones. */
const TRUST = { exact: 0.1, hint: 1.5, none: 3 } as const;

/** A VIP that the configuration does not name (made on the data plane's command line) has the defaults, and Kalman. */
export function settingsOf(config: Config, name: string): VipSettings {
  const v = config.vips.find((vip) => vip.name === name);
  const trust = v?.trust ?? "hint";
  return {
    policy: v?.policy ?? "kalman",
    trust: typeof trust === "number" ? trust : TRUST[trust],
    kappa: v?.kappa ?? 0,
    stepRatio: config.envelope.step_ratio,
    ejectedCap: config.envelope.ejected_cap,
    loadBalancers: v?.load_balancers ?? 1,
  };
}
