// SPDX-License-Identifier: Apache-2.0
// What a kind of data plane is, whichever it is: what it can, and how the launcher runs it. A kind is one file beside this one and one
// line in index.ts.
import type { Config } from "../../common/config/load.js";
import type { ChildSpec } from "../up/child.js";
import type { Instance } from "../up/instance.js";

export interface DataplaneContext {
  config: Config;
  instance: Instance;
  /** Of its processes' and files' names, where there are several: "-2". */
  suffix: string;
  /** The servers are the demo's, started by the launcher. */
  demo: boolean;
}

export type SetMode = (config: Config, vip: string, mode: string) => Promise<void>;

export interface DataplaneKind {
  /** dataplane.kind of the configuration. */
  kind: string;
  help: string;
  /** Selection modes that it has. */
  modes: readonly string[];
  /** It takes and sends PROXY headers: it ends connections, not only packets. */
  proxyHeaders: boolean;
  /** It keeps limits of connections: of a VIP, of a server, of a client's address. */
  limits: boolean;
  /** Keys of `vips` in the configuration that it does not look at. */
  overlooks: readonly (keyof Config["vips"][number])[];
  /** Its VIPs are sockets of this host, so their ports must be free. */
  listens: boolean;
  /** Keys of `dataplane` in the configuration that it looks at; the others have no effect with it. */
  settings: readonly (keyof Config["dataplane"])[];
  /** Why it must run as root; null where it need not. */
  needsRoot: string | null;
  /** Changes the mode of a VIP while it runs, on its host; or says how a person does that. */
  setMode: SetMode | { byHand(vip: string, mode: string): string };
  create(context: DataplaneContext): Dataplane;
}

/** One that is run by the launcher. */
export interface Dataplane {
  /** Says what is missing on this machine (throws LaunchError), and makes what its processes need: files, namespaces, interfaces. */
  prepare(): Promise<void>;
  /** Its processes, started in this order, watched and restarted. The last one serves the VIPs once it is ready. */
  processes(): ChildSpec[];
  /** How the demo's servers and load reach the network of the VIPs; default: directly. */
  wrapDemo?(role: "servers" | "load", spec: ChildSpec): ChildSpec;
  /** The configuration as it is in its network, where VIPs and servers may have other addresses; default: as written. */
  placed?: Config;
  /** For a person, one sentence each. */
  notes?: string[];
  /**
   * After its processes have ended: removes what prepare made, and what a killed process left. Without `served` they never were ready:
   * what lies at the region's path is another's then, and stays.
   */
  cleanUp(served: boolean): Promise<void>;
}
