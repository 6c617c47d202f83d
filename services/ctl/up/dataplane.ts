// SPDX-License-Identifier: Apache-2.0
// What the launcher needs of a data plane, whichever it is.
import type { Config } from "../../common/config/load.js";
import type { ChildSpec } from "./child.js";
import type { Instance } from "./instance.js";

export interface DataplaneContext {
  config: Config;
  instance: Instance;
}

export interface Dataplane {
  /** Says what is missing on this machine (throws LaunchError), and makes what its processes need: files, namespaces, interfaces. */
  prepare(): Promise<void>;
  /** Its processes, started in this order, watched and restarted. The last one serves the VIPs once it is ready. */
  processes(): ChildSpec[];
  /** How the demo's servers and load reach the network of the VIPs; default: directly. */
  wrapDemo?(role: "servers" | "load", spec: ChildSpec): ChildSpec;
  /** Where the configuration's VIPs and servers are in its network; default: where the configuration says. */
  addressOf?(what: "vip" | "server", address: string): string;
  /**
   * After its processes have ended: removes what prepare made, and what a killed process left. Without `served` they never were ready:
   * what lies at the region's path is another's then, and stays.
   */
  cleanUp(served: boolean): Promise<void>;
}
