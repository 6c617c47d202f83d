// SPDX-License-Identifier: Apache-2.0
// Who may listen where: everything is checked before anything starts, so that a taken port is one clear error and not a dead service.

import dgram from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer, isIPv6 } from "node:net";
import { formatHostPort, parseHostPort } from "../../common/config/address.js";
import type { Protocol } from "../../common/config/schema.js";
import { LaunchError } from "./error.js";

const PROBES: Record<Protocol, (host: string, port: number, failed: (e: Error) => void, bound: () => void) => void> = {
  tcp(host, port, failed, bound) {
    const probe = createServer().once("error", failed);
    probe.listen({ host, port, exclusive: true }, () => probe.close(bound));
  },
  udp(host, port, failed, bound) {
    // Node refuses ipv6Only where the address is IPv4 (EINVAL).
    const probe = dgram.createSocket(isIPv6(host) ? { type: "udp6", ipv6Only: true } : { type: "udp4" }).once("error", failed);
    probe.bind({ address: host, port, exclusive: true }, () => probe.close(bound));
  },
};

/** undefined when free, else the reason. Binds without SO_REUSEPORT, so a listener of any kind is noticed. */
export function whyTaken(host: string, port: number, protocol: Protocol = "tcp"): Promise<string | undefined> {
  return new Promise((resolve) => {
    const failed = (e: NodeJS.ErrnoException): void => {
      if (e.code === "EADDRINUSE") resolve("is in use by another process");
      else if (e.code === "EACCES") resolve("needs root (ports below 1024)");
      else if (e.code === "EADDRNOTAVAIL") resolve("is not an address of this machine");
      else resolve(`cannot be listened on: ${e.message}`);
    };
    PROBES[protocol](host, port, failed, () => resolve(undefined));
  });
}

/** Below the range that the kernel gives to outgoing connections: a port chosen now must still be free at a restart. */
function quietRange(): [number, number] {
  try {
    const [low] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s+/).map(Number);
    if (low && low >= 12_000) return [10_100, low - 1];
  } catch {
    // No such file: take the usual bound.
  }
  return [20_000, 32_000];
}

/** A free port for each entry whose port is 0; taken ones are never given twice in a call chain that passes the same set. */
export async function freePort(host: string, given: Set<number>, draw: () => number = Math.random): Promise<number> {
  const [low, high] = quietRange();
  for (let tries = 0; tries < 500; tries++) {
    const port = low + Math.floor(draw() * (high - low));
    if (given.has(port) || (await whyTaken(host, port)) !== undefined) continue;
    given.add(port);
    return port;
  }
  throw new LaunchError(`no free port on ${host} between ${low} and ${high}`);
}

export interface Wanted {
  /** What listens there, for the message. */
  what: string;
  address: string;
  protocol?: Protocol;
  /** How to choose another. */
  change: string;
}

/** Throws one LaunchError that names every address that is taken, and how to change it. */
export async function requireFree(wanted: readonly Wanted[]): Promise<void> {
  const problems: string[] = [];
  for (const w of wanted) {
    const hp = parseHostPort(w.address);
    if (!hp) continue;
    const why = await whyTaken(hp.host, hp.port, w.protocol);
    const address = hp.port === 0 ? hp.host : formatHostPort(hp.host, hp.port);
    if (why) problems.push(`${address} (${w.what}) ${why}; choose another with ${w.change}`);
  }
  if (problems.length > 0) throw new LaunchError(problems.join("\n"));
}
