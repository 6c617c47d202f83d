// SPDX-License-Identifier: Apache-2.0
import { isIP, isIPv4, isIPv6 } from "node:net";

export interface HostPort {
  host: string;
  port: number;
}

/**
 * "10.0.0.1:80", "[::1]:80" or "name:80"; null where it is none of these. An IPv6 address with a scope ("fe80::1%eth0") is none:
 * neither the wire nor the region has a place for the scope.
 */
export function parseHostPort(text: string): HostPort | null {
  const m = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  if (!m) return null;
  const port = Number(m[3]);
  if (port > 65535) return null;
  if (m[1] !== undefined) return isIPv6(m[1]) && !m[1].includes("%") ? { host: m[1], port } : null;
  const host = m[2] as string;
  if (/^[0-9.]+$/.test(host) && !isIPv4(host)) return null;
  return { host, port };
}

export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Same text for the same address: lower case, the shortest form of IPv6, IPv4-mapped IPv6 as IPv4. */
export function canonicalAddress(text: string): string {
  const hp = parseHostPort(text);
  if (!hp) return text;
  let host = hp.host.toLowerCase();
  if (isIPv6(host)) {
    host = new URL(`http://[${host}]/`).hostname.slice(1, -1);
    const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
    if (mapped) {
      const hi = Number.parseInt(mapped[1] as string, 16);
      const lo = Number.parseInt(mapped[2] as string, 16);
      host = `${hi >> 8}.${hi & 255}.${lo >> 8}.${lo & 255}`;
    }
  }
  return formatHostPort(host, hp.port);
}

/** True for a literal IP address and port, which is what a data plane can use. */
export function isIpPort(text: string): boolean {
  const hp = parseHostPort(text);
  return hp !== null && (isIPv4(hp.host) || isIPv6(hp.host));
}

/** 0.0.0.0 or ::, with any port. */
export function isWildcard(text: string): boolean {
  const hp = parseHostPort(canonicalAddress(text));
  return hp?.host === "0.0.0.0" || hp?.host === "::";
}

function bitsOf(address: string): string {
  if (isIPv4(address))
    return address
      .split(".")
      .map((byte) => Number(byte).toString(2).padStart(8, "0"))
      .join("");
  const words = new URL(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const [front = [], back = []] = words.map((half) => half.split(":").filter((word) => word !== ""));
  const all = [...front, ...Array<string>(8 - front.length - back.length).fill("0"), ...back];
  return all.map((word) => Number.parseInt(word, 16).toString(2).padStart(16, "0")).join("");
}

/** "10.0.0.0/8" or "2001:db8::/32", no bit set beyond the prefix; an address without a prefix is a network of one. */
export function isNetwork(text: string): boolean {
  const m = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = m?.[1] ?? "";
  if (isIP(address) === 0) return false;
  const most = isIPv4(address) ? 32 : 128;
  const prefix = Number(m?.[2] ?? most);
  return prefix <= most && !bitsOf(address).slice(prefix).includes("1");
}
