// SPDX-License-Identifier: Apache-2.0
// The PROXY header of a check: a server behind `send_proxy` takes no connection without one.
import { isIPv4, type Socket } from "node:net";
import * as z from "zod";

export const PROXY_VERSIONS = ["off", "v1", "v2"] as const;
export type ProxyVersion = (typeof PROXY_VERSIONS)[number];

/** Keys of every check that opens a TCP connection. `auto`: as the server's VIP sends it; whoever runs the check says which. */
export const proxyKeys = { send_proxy: z.enum(["auto", ...PROXY_VERSIONS]).default("auto") };

export type SendProxy = z.output<(typeof proxyKeys)["send_proxy"]>;

const V2_LOCAL = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x20, 0x00, 0x00, 0x00]);

/** What goes first over an open connection of the checker's own: version 2 has LOCAL for it, version 1 the connection's addresses. */
export function proxyHeader(
  how: SendProxy,
  s: Pick<Socket, "localAddress" | "localPort" | "remoteAddress" | "remotePort">,
): Buffer | null {
  if (how === "v2") return V2_LOCAL;
  if (how !== "v1") return null;
  const family = isIPv4(s.localAddress ?? "") ? "TCP4" : "TCP6";
  return Buffer.from(`PROXY ${family} ${s.localAddress} ${s.remoteAddress} ${s.localPort} ${s.remotePort}\r\n`);
}

interface ServerSends {
  address: string;
  send_proxy: ProxyVersion | "vip";
}
interface VipSends {
  address: string;
  send_proxy: ProxyVersion;
  servers: readonly ServerSends[];
}

/**
 * What the data plane sends a server: its own setting, else that of the VIP that it serves; `vip` is the VIP's address where the
 * server is in no list of the configuration.
 */
export function sentTo(vips: readonly VipSends[], server: string, vip?: string): ProxyVersion {
  for (const v of vips) {
    const s = v.servers.find((s) => s.address === server);
    if (s) return s.send_proxy === "vip" ? v.send_proxy : s.send_proxy;
  }
  return vips.find((v) => v.address === vip)?.send_proxy ?? "off";
}
