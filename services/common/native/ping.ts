// SPDX-License-Identifier: Apache-2.0
import { addon } from "./addon.js";

/** A socket for ICMP echo without privileges, as a descriptor. Null where the kernel does not allow it (net.ipv4.ping_group_range). */
export function pingSocket(ipv6: boolean): number | null {
  const fd = addon.pingSocket(ipv6);
  return fd < 0 ? null : fd;
}
