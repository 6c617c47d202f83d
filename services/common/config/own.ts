// SPDX-License-Identifier: Apache-2.0
// Which addresses lead back to the data plane itself (native/dataplane/src/own.h says the same of a running one): two listeners
// that want the same connections, and servers that are VIPs. Which addresses a wildcard VIP has beside the loopback ones is known
// only on the data plane's own machine: there marllb-dp refuses them.
import { isIPv4, isIPv6 } from "node:net";
import { canonicalAddress, type HostPort, parseHostPort } from "./address.js";

export interface OwnVip {
  name: string;
  address: string;
  protocol: string;
  servers: readonly string[];
}

const place = (text: string): HostPort | null => parseHostPort(canonicalAddress(text));
const isAny = (host: string): boolean => host === "0.0.0.0" || host === "::";
const isLoopback = (host: string): boolean => host === "::1" || (isIPv4(host) && host.startsWith("127."));
const sameFamily = (a: string, b: string): boolean => (isIPv4(a) && isIPv4(b)) || (isIPv6(a) && isIPv6(b));

/** Both would listen at one address: 0.0.0.0 covers every IPv4 address, [::] every IPv6 one, port 0 nothing. */
export function overlaps(a: string, b: string): boolean {
  const x = place(a);
  const y = place(b);
  if (!x || !y || x.port !== y.port || x.port === 0) return false;
  return x.host === y.host || (sameFamily(x.host, y.host) && (isAny(x.host) || isAny(y.host)));
}

/** Who connects to `server` reaches the VIP. */
export function leadsTo(server: string, vip: string): boolean {
  const s = place(server);
  const v = place(vip);
  if (!s || !v || s.port !== v.port || !sameFamily(s.host, v.host)) return false;
  // The kernel connects to the loopback address then.
  const to = s.host === "0.0.0.0" ? "127.0.0.1" : s.host === "::" ? "::1" : s.host;
  return isAny(v.host) ? isLoopback(to) : to === v.host;
}

/** Why `server` cannot be one of the VIP's: a connection would come back to it, by any number of VIPs. null: it can. */
export function loopOf(vips: readonly OwnVip[], of: OwnVip, server: string): string | null {
  if (leadsTo(server, of.address)) return `server ${server} is the VIP itself`;
  const reachable = vips.filter((v) => v.protocol === of.protocol);
  const walk = reachable.filter((v) => leadsTo(server, v.address));
  const seen = new Set(walk);
  for (const vip of walk) {
    for (const next of vip.servers) {
      if (leadsTo(next, of.address)) return `server ${server} leads back to the VIP: VIP ${vip.name} has it behind it`;
      for (const v of reachable) {
        if (seen.has(v) || !leadsTo(next, v.address)) continue;
        seen.add(v);
        walk.push(v);
      }
    }
  }
  return null;
}
