// SPDX-License-Identifier: Apache-2.0
// VPP with our plugin as the data plane of `up`: NAT between two veth pairs. This host is the client (and health's checks pass through
// VPP untouched), the servers live in a network namespace. Loopback addresses of the configuration are mapped into 10.x: a VIP
// 127.0.0.1:8080 is 10.x.0.1:8080, a server 127.0.0.1:9001 is 10.x.2.2:9001. Needs root, VPP with its headers, af_packet.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Config } from "../../common/config/load.js";
import { projectRoot } from "../../common/root.js";
import { MODE_WORDS } from "../../common/vocabulary.js";
import type { ChildSpec } from "../up/child.js";
import { LaunchError } from "../up/error.js";
import type { Dataplane, DataplaneContext, DataplaneKind } from "./dataplane.js";
import type { VppJob } from "./vpp-process.js";

interface BuildVpp {
  findVpp(): { prefix: string; missing?: undefined } | { missing: string };
  buildVpp(vpp: { prefix: string }): Promise<string>;
}

const run = promisify(execFile);
const ip = (...args: string[]): Promise<unknown> => run("ip", args);

/** Names and addresses of an instance's network. */
export function network(instance: string) {
  const h = createHash("sha256").update(instance).digest();
  const id = h.toString("hex").slice(0, 6);
  const net = `10.${64 + ((h[8] ?? 0) % 64)}`;
  return { netns: `marllb-${id}`, client: `mlb${id}c`, clientVpp: `mlb${id}C`, server: `mlb${id}s`, serverVpp: `mlb${id}S`, net };
}

type Network = ReturnType<typeof network>;

const split = (address: string): [string, string] => {
  const at = address.lastIndexOf(":");
  return [address.slice(0, at), address.slice(at + 1)];
};
export const vipAddress = (n: Network, address: string): string => `${n.net}.0.1:${split(address)[1]}`;
export const serverAddress = (n: Network, address: string): string => `${n.net}.2.2:${split(address)[1]}`;

/** The whole set-up as VPP commands. */
export function vppCommands(c: Config, n: Network): string[] {
  const [a, b] = [`host-${n.clientVpp}`, `host-${n.serverVpp}`];
  const lines = [
    `create host-interface name ${n.clientVpp}`,
    `create host-interface name ${n.serverVpp}`,
    `set interface ip address ${a} ${n.net}.1.1/24`,
    `set interface ip address ${b} ${n.net}.2.1/24`,
    `set interface state ${a} up`,
    `set interface state ${b} up`,
    `lb rl set-shm ${c.region.path}`,
    `lb rl enable flows 65536 established-timeout ${Math.ceil(c.dataplane.idle_timeout_ms / 1000)} udp-timeout ${Math.ceil(c.dataplane.udp_timeout_ms / 1000)} lease ${c.dataplane.lease_ms}`,
    `lb rl nat interface ${b}`,
  ];
  for (const v of c.vips) {
    const [host, port] = split(vipAddress(n, v.address));
    lines.push(
      `lb rl set-vip ${v.name} ${host}/32 ${v.protocol} ${port} nat mode ${v.mode} load ${v.load}${v.eject ? "" : " no-eject"}${v.guard ? "" : " no-guard"}`,
    );
    if (v.servers.length === 0) continue;
    lines.push(`lb rl set-servers vip ${v.name} ${v.servers.map((s) => `${serverAddress(n, s.address)}=${s.weight}`).join(" ")}`);
    for (const s of v.servers) if (s.drain) lines.push(`lb rl drain vip ${v.name} ${serverAddress(n, s.address)}`);
  }
  return lines;
}

async function build(): Promise<{ prefix: string; pluginDir: string }> {
  const module = pathToFileURL(path.join(projectRoot, "scripts/build-vpp.mjs")).href;
  const { findVpp, buildVpp } = (await import(module)) as BuildVpp;
  const vpp = findVpp();
  if (vpp.missing !== undefined) throw new LaunchError(`--dataplane vpp: ${vpp.missing}`);
  return { prefix: vpp.prefix, pluginDir: await buildVpp(vpp) };
}

function pluginFolder(prefix: string): string {
  for (const lib of ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib"]) {
    const folder = path.join(prefix, lib, "vpp_plugins");
    if (existsSync(path.join(folder, "af_packet_plugin.so"))) return folder;
  }
  throw new LaunchError(`--dataplane vpp: no af_packet_plugin.so under ${prefix}`);
}

async function removeNetwork(n: Network): Promise<void> {
  for (const dev of [n.clientVpp, n.serverVpp]) await ip("link", "del", dev).catch(() => {});
  await ip("netns", "del", n.netns).catch(() => {});
}

async function makeNetwork(n: Network): Promise<void> {
  await removeNetwork(n);
  await ip("netns", "add", n.netns);
  await ip("link", "add", n.client, "type", "veth", "peer", "name", n.clientVpp);
  await ip("link", "add", n.server, "netns", n.netns, "type", "veth", "peer", "name", n.serverVpp);
  const inside = (...args: string[]): Promise<unknown> => ip("-n", n.netns, ...args);
  await ip("addr", "add", `${n.net}.1.2/24`, "dev", n.client);
  await inside("addr", "add", `${n.net}.2.2/24`, "dev", n.server);
  for (const dev of [n.client, n.clientVpp, n.serverVpp]) await ip("link", "set", dev, "up");
  await inside("link", "set", "lo", "up");
  await inside("link", "set", n.server, "up");
  await ip("route", "add", `${n.net}.0.0/16`, "via", `${n.net}.1.1`, "dev", n.client);
  await inside("route", "add", "default", "via", `${n.net}.2.1`);
  // VPP takes whole packets with whole checksums from a packet socket.
  const plain = ["tx", "off", "tso", "off", "gso", "off", "gro", "off"];
  await run("ethtool", ["-K", n.client, ...plain]);
  await ip("netns", "exec", n.netns, "ethtool", "-K", n.server, ...plain);
}

export const vpp: DataplaneKind = {
  kind: "vpp",
  help: "VPP with our plugin (needs root)",
  modes: MODE_WORDS,
  proxyHeaders: false,
  // Flows outlive the launcher's drain only where VPP's own stop lets them: the demo's load alone waits drain_timeout_ms.
  settings: ["threads", "lease_ms", "idle_timeout_ms", "drain_timeout_ms", "udp_timeout_ms"],
  needsRoot: "network namespaces and packet sockets",
  setMode: { byHand: (vip, mode) => `VPP sets it by its own command: vppctl lb rl set-mode vip ${vip} ${mode}` },
  create,
};

function create({ config, instance }: DataplaneContext): Dataplane {
  const n = network(config.instance);
  const folder = path.join(instance.folder, "vpp");
  const jobFile = path.join(folder, "job.json");
  return {
    async prepare() {
      const { prefix, pluginDir } = await build();
      mkdirSync(folder, { recursive: true });
      await makeNetwork(n).catch((e: Error) => {
        throw new LaunchError(`--dataplane vpp: cannot make the network (iproute2 and ethtool are needed): ${e.message}`);
      });
      const socket = path.join(folder, "cli.sock");
      const workers = config.dataplane.threads > 1 ? `workers ${config.dataplane.threads - 1}` : "";
      writeFileSync(
        path.join(folder, "startup.conf"),
        `unix { nodaemon nosyslog cli-listen ${socket} runtime-dir ${folder} cli-no-pager }
api-segment { prefix ${n.netns} }
socksvr { socket-name ${folder}/api.sock }
statseg { socket-name ${folder}/stats.sock page-size 4k }
cpu { main-core 0 ${workers} }
memory { main-heap-size 512M main-heap-page-size 4k }
buffers { buffers-per-numa 16384 page-size 4k }
plugins { path ${pluginFolder(prefix)} add-path ${pluginDir} plugin default { disable }
  plugin lb_rl_plugin.so { enable } plugin af_packet_plugin.so { enable } plugin ping_plugin.so { enable } }
`,
      );
      const bin = (name: string): string => path.join(prefix, "bin", name);
      const job: VppJob = {
        vpp: bin("vpp"),
        vppctl: bin("vppctl"),
        startup: path.join(folder, "startup.conf"),
        socket,
        commands: vppCommands(config, n),
      };
      writeFileSync(jobFile, JSON.stringify(job));
    },
    processes: () => [
      {
        name: "vpp",
        command: process.execPath,
        args: [path.join(projectRoot, "dist/services/ctl/dataplanes/vpp-process.js"), jobFile],
        stopMs: 5000,
      },
    ],
    wrapDemo(role, spec): ChildSpec {
      if (role === "servers") {
        return { ...spec, command: "ip", args: ["netns", "exec", n.netns, spec.command, ...spec.args, "--host", `${n.net}.2.2`] };
      }
      const target = spec.args.indexOf("--target") + 1;
      return { ...spec, args: spec.args.map((a, i) => (target > 0 && i === target ? vipAddress(n, a) : a)) };
    },
    addressOf: (what, address) => (what === "vip" ? vipAddress : serverAddress)(n, address),
    async cleanUp(served) {
      await removeNetwork(n);
      if (!served) return;
      for (const end of ["", ".order"]) rmSync(`${config.region.path}${end}`, { force: true });
    },
  };
}
