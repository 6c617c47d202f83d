// SPDX-License-Identifier: Apache-2.0
// What a VPP must have for a configuration, as commands of our plugin (vpp-plugin/README.md).
import { parseHostPort } from "../../common/config/address.js";
import type { Config } from "../../common/config/load.js";

export interface WantedVip {
  name: string;
  /** Makes the VIP, or changes the one there is. */
  set: string;
  /** Its servers and drains, for a VIP that was just made. */
  servers: string[];
}

export interface Wanted {
  region: string;
  /** Turns the plugin on, where it is off. */
  enable: string[];
  /** Interfaces on the servers' side, for NAT. */
  natInterfaces: string[];
  vips: WantedVip[];
}

const seconds = (ms: number): number => Math.ceil(ms / 1000);
const bare = (text: string): string => text.replace(/^\[|\]$/g, "");

function vipCommand(v: Config["vips"][number]): string {
  const at = parseHostPort(v.address);
  if (!at) throw new Error(`VIP ${v.name}: ${v.address} is not IP:PORT`); // the configuration's check would have failed
  const host = bare(at.host);
  const options = [`mode ${v.mode}`, `load ${v.load}`, ...(v.eject ? [] : ["no-eject"]), ...(v.guard ? [] : ["no-guard"])];
  return `lb rl set-vip ${v.name} ${host}/${host.includes(":") ? 128 : 32} ${v.protocol} ${at.port} ${v.forwarding} ${options.join(" ")}`;
}

export function wantedOf(c: Config): Wanted {
  const { vpp, idle_timeout_ms, udp_timeout_ms, lease_ms, max_vips, max_servers } = c.dataplane;
  const timeouts = `established-timeout ${seconds(idle_timeout_ms)} udp-timeout ${seconds(udp_timeout_ms)} lease ${lease_ms}`;
  return {
    region: c.region.path,
    enable: [
      `lb rl set-shm ${c.region.path}${c.region.group === "" ? "" : ` group ${c.region.group}`}`,
      `lb rl enable flows ${vpp.flows} ${timeouts} max-vips ${max_vips} max-servers ${max_servers}`,
    ],
    natInterfaces: [...vpp.nat_interfaces],
    vips: c.vips.map((v) => ({
      name: v.name,
      set: vipCommand(v),
      servers:
        v.servers.length === 0
          ? []
          : [
              `lb rl set-servers vip ${v.name} ${v.servers.map((s) => `${s.address}=${s.weight}`).join(" ")}`,
              ...v.servers.filter((s) => s.drain).map((s) => `lb rl drain vip ${v.name} ${s.address}`),
            ],
    })),
  };
}
