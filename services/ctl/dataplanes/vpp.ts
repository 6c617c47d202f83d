// SPDX-License-Identifier: Apache-2.0
// VPP with our plugin as the data plane of `up`: one of the launcher's own, which does NAT between this host and a namespace (see
// vpp-network.ts; needs root, VPP with its headers, af_packet), or one that runs already, whose CLI socket dataplane.vpp.socket names.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Config } from "../../common/config/load.js";
import { programFile, projectRoot } from "../../common/root.js";
import { MODE_WORDS } from "../../common/vocabulary.js";
import type { ChildSpec } from "../up/child.js";
import { LaunchError } from "../up/error.js";
import type { Dataplane, DataplaneContext, DataplaneKind } from "./dataplane.js";
import { interfaceCommands, makeNetwork, network, place, removeNetwork } from "./vpp-network.js";
import type { VppJob } from "./vpp-process.js";
import type { RelayJob } from "./vpp-relay.js";
import { wantedOf } from "./vpp-wanted.js";

/** Where VPP is, and our plugin, which is built where it is not or is older than its sources. */
async function build(): Promise<{ prefix: string; pluginDir: string }> {
  const script = path.join(projectRoot, "scripts/build-vpp.mjs");
  const child = spawn(process.execPath, [script, "--json"], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let said = "";
  child.stdout.on("data", (d: Buffer) => (out += d));
  child.stderr.on("data", (d: Buffer) => {
    said += d;
    if (/^setup: /.test(String(d))) process.stderr.write(d);
  });
  const code = await new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (code !== 0) throw new LaunchError(`--dataplane vpp: the plugin cannot be built:\n${said.trim()}`);
  const found = JSON.parse(out) as { prefix: string; pluginDir: string; missing?: string };
  if (found.missing !== undefined) throw new LaunchError(`--dataplane vpp: ${found.missing}`);
  return found;
}

function pluginFolder(prefix: string): string {
  for (const lib of ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib"]) {
    const folder = path.join(prefix, lib, "vpp_plugins");
    if (existsSync(path.join(folder, "af_packet_plugin.so"))) return folder;
  }
  throw new LaunchError(`--dataplane vpp: no af_packet_plugin.so under ${prefix}`);
}

export const vpp: DataplaneKind = {
  kind: "vpp",
  help: "VPP with our plugin (needs root)",
  modes: MODE_WORDS,
  proxyHeaders: false,
  limits: false,
  overlooks: ["responses"],
  listens: false,
  // Flows outlive the launcher's drain only where VPP's own stop lets them: the demo's load alone waits drain_timeout_ms.
  settings: ["threads", "max_vips", "max_servers", "lease_ms", "idle_timeout_ms", "drain_timeout_ms", "udp_timeout_ms", "vpp"],
  needsRoot: "network namespaces, packet sockets and VPP's CLI",
  setMode: { byHand: (vip, mode) => `VPP sets it by its own command: vppctl lb rl set-mode vip ${vip} ${mode}` },
  create: (context) => (context.config.dataplane.vpp.socket === "" ? own(context) : running(context)),
};

const keeper = (jobFile: string): ChildSpec => ({
  name: "vpp",
  command: process.execPath,
  args: [programFile("vpp-process"), jobFile],
  stopMs: 5000,
});

/** A VPP that runs already: it is given what the configuration wants, again when it was restarted, and left as it is at the end. */
function running({ config, instance }: DataplaneContext): Dataplane {
  const { socket, vppctl } = config.dataplane.vpp;
  const jobFile = path.join(instance.folder, "vpp.json");
  return {
    async prepare() {
      if (!existsSync(socket)) throw new LaunchError(`dataplane.vpp.socket: no VPP at ${socket}: start it first`);
      writeFileSync(jobFile, JSON.stringify({ own: null, vppctl, socket, wanted: wantedOf(config) } satisfies VppJob));
    },
    processes: () => [keeper(jobFile)],
    wrapDemo() {
      throw new LaunchError(
        "the demo's servers need a VPP of the launcher's own: list servers, or leave dataplane.vpp.socket empty",
        2,
      );
    },
    async cleanUp() {},
  };
}

function own({ config, instance, demo }: DataplaneContext): Dataplane {
  const n = network(config.instance);
  const folder = path.join(instance.folder, "vpp");
  const placed = place(config, n);
  const jobFile = path.join(folder, "job.json");
  const relayFile = path.join(folder, "relay.json");
  const relays = !demo && placed.relayed.length > 0;
  return {
    placed: placed.config,
    notes: [
      ...placed.notes,
      ...(relays ? ["servers are reached as written, through a relay on this host: it is whom they see as their client"] : []),
    ],
    async prepare() {
      const { prefix, pluginDir } = await build();
      mkdirSync(folder, { recursive: true });
      await makeNetwork(n, placed).catch((e: Error) => {
        throw new LaunchError(`--dataplane vpp: cannot make the network (iproute2 and ethtool are needed): ${e.message}`);
      });
      const socket = path.join(folder, "cli.sock");
      const startup = path.join(folder, "startup.conf");
      writeFileSync(startup, startupConf(config, { folder, socket, prefix, pluginDir, segment: n.netns }));
      const bin = (name: string): string => path.join(prefix, "bin", name);
      const { commands, serverSide } = interfaceCommands(n);
      const wanted = wantedOf(placed.config);
      const job: VppJob = {
        own: { vpp: bin("vpp"), startup, interfaces: commands },
        vppctl: bin("vppctl"),
        socket,
        wanted: { ...wanted, natInterfaces: [...wanted.natInterfaces, serverSide] },
      };
      writeFileSync(jobFile, JSON.stringify(job));
      writeFileSync(relayFile, JSON.stringify({ netns: n.netns, relayed: placed.relayed } satisfies RelayJob));
    },
    processes: () => [
      ...(relays ? [{ name: "vpp-relay", command: process.execPath, args: [programFile("vpp-relay"), relayFile] }] : []),
      keeper(jobFile),
    ],
    wrapDemo(role, spec): ChildSpec {
      if (role === "load") return spec;
      const host = placed.servers[0] as string; // the demo's servers have one address and several ports
      return { ...spec, command: "ip", args: ["netns", "exec", n.netns, spec.command, ...spec.args, "--host", host] };
    },
    async cleanUp(served) {
      await removeNetwork(n);
      if (!served) return;
      for (const end of ["", ".order"]) rmSync(`${config.region.path}${end}`, { force: true });
    },
  };
}

function startupConf(
  config: Config,
  at: { folder: string; socket: string; prefix: string; pluginDir: string; segment: string },
): string {
  const workers = config.dataplane.threads > 1 ? `workers ${config.dataplane.threads - 1}` : "";
  return `unix { nodaemon nosyslog cli-listen ${at.socket} runtime-dir ${at.folder} cli-no-pager }
api-segment { prefix ${at.segment} }
socksvr { socket-name ${at.folder}/api.sock }
statseg { socket-name ${at.folder}/stats.sock page-size 4k }
cpu { main-core 0 ${workers} }
memory { main-heap-size 512M main-heap-page-size 4k }
buffers { buffers-per-numa 16384 page-size 4k }
plugins { path ${pluginFolder(at.prefix)} add-path ${at.pluginDir} plugin default { disable }
  plugin lb_rl_plugin.so { enable } plugin af_packet_plugin.so { enable } plugin ping_plugin.so { enable } }
`;
}
