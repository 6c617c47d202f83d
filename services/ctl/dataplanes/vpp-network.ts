// SPDX-License-Identifier: Apache-2.0
// The network of the launcher's own VPP: two veth pairs, this host on the clients' side, a namespace on the servers'. Packets to an
// address of this host itself never come to VPP, so such VIPs, and all servers, have addresses of this network in their place.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { networkInterfaces } from "node:os";
import { promisify } from "node:util";
import { formatHostPort, parseHostPort } from "../../common/config/address.js";
import type { Config } from "../../common/config/load.js";
import { LaunchError } from "../up/error.js";

const run = promisify(execFile);
const ip = (...args: string[]): Promise<unknown> => run("ip", args);

/** Names and addresses of an instance's network. */
export function network(instance: string) {
  const h = createHash("sha256").update(instance).digest();
  const id = h.toString("hex").slice(0, 6);
  const net = `10.${64 + ((h[8] ?? 0) % 64)}`;
  return {
    id: [...h.subarray(0, 3)],
    netns: `marllb-${id}`,
    client: `mlb${id}c`,
    clientVpp: `mlb${id}C`,
    server: `mlb${id}s`,
    serverVpp: `mlb${id}S`,
    net,
  };
}
export type Network = ReturnType<typeof network>;

/** Addresses whose packets stay on this host. */
export function ownAddress(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  if (/^127\.|^0\.0\.0\.0$|^::1?$/.test(bare)) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some((a) => a.address === bare));
}

/** The configuration as it is in the network. */
export interface Placed {
  config: Config;
  /** VIPs' addresses that are as written: the host routes them to VPP. */
  routes: string[];
  /** Addresses of the servers' side, one for each address that the configuration has there. */
  servers: string[];
  /** Where each server of the configuration is, and where it is as written. */
  relayed: { protocol: "tcp" | "udp"; at: string; to: string }[];
  /** For a person. */
  notes: string[];
}

const mostServers = 250;

/** Gives each new key the next number. */
function numbering(): (key: string) => number {
  const seen = new Map<string, number>();
  return (key) => {
    if (!seen.has(key)) seen.set(key, seen.size);
    return seen.get(key) as number;
  };
}

export function place(c: Config, n: Network, isOwn: (host: string) => boolean = ownAddress): Placed {
  const vipNumber = numbering();
  const serverNumber = numbering();
  const out: Placed = { config: c, routes: [], servers: [], relayed: [], notes: [] };
  const routes = new Set<string>();
  const servers = new Set<string>();
  const relayed = new Map<string, Placed["relayed"][number]>();
  const parse = (address: string) => parseHostPort(address) ?? { host: address, port: 0 };
  const vips = c.vips.map((v) => {
    if (v.forwarding !== "nat")
      throw new LaunchError(
        `VIP ${v.name}: forwarding: the launcher's own VPP has nat only, found ${v.forwarding}; name a VPP of yours in dataplane.vpp.socket`,
        2,
      );
    const { host, port } = parse(v.address);
    let address = v.address;
    if (host.includes(":") || isOwn(host)) {
      address = formatHostPort(`${n.net}.0.${1 + vipNumber(host)}`, port);
      const why = host.includes(":")
        ? "the launcher's network is IPv4"
        : `${host} is this host's own, so packets to it never leave it`;
      out.notes.push(`VIP ${v.name} is reached at ${address}, not at ${v.address}: ${why}`);
    } else routes.add(host);
    const at = v.servers.map((s) => {
      const as = parse(s.address);
      const number = serverNumber(as.host);
      if (number >= mostServers)
        throw new LaunchError(`VIP ${v.name}: the launcher's own VPP has room for servers of ${mostServers} addresses`);
      const inside = `${n.net}.2.${2 + number}`;
      servers.add(inside);
      const placed = formatHostPort(inside, as.port);
      relayed.set(`${v.protocol} ${placed}`, { protocol: v.protocol, at: placed, to: s.address });
      return { ...s, address: placed };
    });
    return { ...v, address, servers: at };
  });
  return {
    ...out,
    config: { ...c, vips },
    routes: [...routes],
    servers: servers.size > 0 ? [...servers] : [`${n.net}.2.2`],
    relayed: [...relayed.values()],
  };
}

export async function removeNetwork(n: Network): Promise<void> {
  for (const dev of [n.clientVpp, n.serverVpp]) await ip("link", "del", dev).catch(() => {});
  await ip("netns", "del", n.netns).catch(() => {});
}

export async function makeNetwork(n: Network, placed: Placed): Promise<void> {
  await removeNetwork(n);
  await ip("netns", "add", n.netns);
  await ip("link", "add", n.client, "type", "veth", "peer", "name", n.clientVpp);
  await ip("link", "add", n.server, "netns", n.netns, "type", "veth", "peer", "name", n.serverVpp);
  const inside = (...args: string[]): Promise<unknown> => ip("-n", n.netns, ...args);
  await ip("addr", "add", `${n.net}.1.2/24`, "dev", n.client);
  for (const a of placed.servers) await inside("addr", "add", `${a}/24`, "dev", n.server);
  for (const dev of [n.client, n.clientVpp, n.serverVpp]) await ip("link", "set", dev, "up");
  await inside("link", "set", "lo", "up");
  await inside("link", "set", n.server, "up");
  for (const to of [`${n.net}.0.0/16`, ...placed.routes.map((a) => `${a}/32`)])
    await ip("route", "add", to, "via", `${n.net}.1.1`, "dev", n.client);
  await inside("route", "add", "default", "via", `${n.net}.2.1`);
  // VPP takes whole packets with whole checksums from a packet socket.
  const plain = ["tx", "off", "tso", "off", "gso", "off", "gro", "off"];
  await run("ethtool", ["-K", n.client, ...plain]);
  await ip("netns", "exec", n.netns, "ethtool", "-K", n.server, ...plain);
}

/** VPP's interfaces in it, as commands; the servers' side is the last one. */
export function interfaceCommands(n: Network): { commands: string[]; serverSide: string } {
  const [a, b] = [`host-${n.clientVpp}`, `host-${n.serverVpp}`];
  // The same at each start: this host and the servers' side know VPP by it, and would go on asking for a VPP that died.
  const at = (side: number): string =>
    `hw-addr ${[0x02, 0xfe, ...n.id, side].map((x) => x.toString(16).padStart(2, "0")).join(":")}`;
  const commands = [
    `create host-interface name ${n.clientVpp} ${at(1)}`,
    `create host-interface name ${n.serverVpp} ${at(2)}`,
    `set interface ip address ${a} ${n.net}.1.1/24`,
    `set interface ip address ${b} ${n.net}.2.1/24`,
    `set interface state ${a} up`,
    `set interface state ${b} up`,
  ];
  return { commands, serverSide: b };
}
