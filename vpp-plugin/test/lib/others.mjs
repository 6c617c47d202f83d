// SPDX-License-Identifier: Apache-2.0
// Packets that cases after other projects' tests and RFCs have in common: of a client to a VIP, in either family.
import { C4, C6, s4, s6 } from "./bed.mjs";

export const V = "10.9.0.1";
export const V6 = "fd00:9::1";
export const family = (v6) => (v6 ? { C: C6, V: V6, s: s6 } : { C: C4, V, s: s4 });

export const udp = (v6, sport, more) => ({
  src: family(v6).C,
  dst: family(v6).V,
  udp: true,
  sport,
  dport: 80,
  payload: "katran test pkt",
  ...more,
});
export const icmpFrom = (v6, type, body) => {
  const { C, V: vip } = family(v6);
  return { src: C, dst: vip, icmp: type, payload: body };
};
