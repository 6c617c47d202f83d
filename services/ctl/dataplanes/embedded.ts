// SPDX-License-Identifier: Apache-2.0
// marllb-dp: its configuration is lines of words (see `marllb-dp --help`), written here from ours.
import { existsSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Config } from "../../common/config/load.js";
import { projectRoot } from "../../common/root.js";
import { MODE_WORDS } from "../../common/vocabulary.js";
import { control } from "../control.js";
import { LaunchError } from "../up/error.js";
import type { Dataplane, DataplaneContext, DataplaneKind } from "./dataplane.js";

export function dpLines(c: Config): string[] {
  const d = c.dataplane;
  const lines = [
    `instance ${c.instance}`,
    `region ${c.region.path}`,
    `frame ${Math.max(5, Math.round(c.tick_ms / 2))}ms`,
    `lease ${d.lease_ms}ms`,
    `max-vips ${d.max_vips}`,
    `max-servers ${d.max_servers}`,
    `connect-timeout ${d.connect_timeout_ms}ms`,
    `retries ${d.retries}`,
    `idle-timeout ${d.idle_timeout_ms}ms`,
    `first-byte-timeout ${d.first_byte_timeout_ms}ms`,
    `proxy-header-timeout ${d.proxy_header_timeout_ms}ms`,
    `half-closed-timeout ${d.half_closed_timeout_ms}ms`,
    `udp-timeout ${d.udp_timeout_ms}ms`,
    `udp-coalesce ${d.udp_coalesce_us}`,
    `udp-receive-buffer ${d.udp_receive_buffer}`,
    `keepalive ${d.keepalive_ms}ms`,
    `keepalive-interval ${d.keepalive_interval_ms}ms`,
    `keepalive-probes ${d.keepalive_probes}`,
    `user-timeout ${d.user_timeout_ms}ms`,
    `drain-timeout ${d.drain_timeout_ms}ms`,
    `pipe-memory ${d.pipe_memory}`,
    `backlog ${d.backlog}`,
    `log-time ${c.log.time}`,
    `freebind ${d.freebind ? "on" : "off"}`,
    `transparent ${d.transparent ? "on" : "off"}`,
  ];
  if (c.region.group !== "") lines.push(`region-group ${c.region.group}`);
  if (d.threads > 0) lines.push(`threads ${d.threads}`);
  if (d.sources.length > 0) lines.push(`sources ${d.sources.join(" ")}`);
  for (const v of c.vips) {
    const maxConns = v.max_connections || d.max_connections;
    const options = [
      `mode ${v.mode} load ${v.load} pool ${v.pool} eject ${v.eject ? "on" : "off"} load-balancers ${v.load_balancers}`,
      ...(v.protocol === "udp" ? [`protocol udp responses ${v.responses}`] : []),
      ...(v.guard ? [] : ["guard off"]),
      ...(v.kappa > 0 ? [`kappa ${v.kappa}`] : []),
      ...(maxConns > 0 ? [`max-connections ${maxConns}`] : []),
      ...(v.max_connections_per_source > 0 ? [`max-connections-per-source ${v.max_connections_per_source}`] : []),
      ...(v.accept_proxy.length > 0 ? [`accept-proxy ${v.accept_proxy.join(",")}`] : []),
      ...(v.send_proxy === "off" ? [] : [`send-proxy ${v.send_proxy}`]),
    ];
    lines.push(`vip ${v.name} ${v.address} ${options.join(" ")}`);
    for (const s of v.servers) {
      const limit = s.max_connections > 0 ? ` max-connections ${s.max_connections}` : "";
      const proxy = s.send_proxy === "vip" ? "" : ` send-proxy ${s.send_proxy}`;
      lines.push(`server vip ${v.name} ${s.address} weight ${s.weight}${limit}${proxy}${s.drain ? " drain" : ""}`);
    }
  }
  return lines;
}

export const embedded: DataplaneKind = {
  kind: "embedded",
  help: "marllb-dp, TCP and UDP, unprivileged",
  modes: MODE_WORDS,
  proxyHeaders: true,
  limits: true,
  overlooks: ["forwarding"],
  listens: true,
  settings: [
    "threads",
    "max_vips",
    "max_servers",
    "lease_ms",
    "connect_timeout_ms",
    "retries",
    "idle_timeout_ms",
    "first_byte_timeout_ms",
    "proxy_header_timeout_ms",
    "half_closed_timeout_ms",
    "udp_timeout_ms",
    "keepalive_ms",
    "keepalive_interval_ms",
    "keepalive_probes",
    "user_timeout_ms",
    "drain_timeout_ms",
    "pipe_memory",
    "backlog",
    "freebind",
    "transparent",
    "max_connections",
    "sources",
    "udp_coalesce_us",
    "udp_receive_buffer",
  ],
  needsRoot: null,
  setMode: (config, vip, mode) => control(`${config.region.path}.ctl`, `set-mode vip ${vip} ${mode}`),
  create,
};

function create({ config, instance, suffix }: DataplaneContext): Dataplane {
  const binary = path.join(projectRoot, "build/native/bin/marllb-dp");
  const file = path.join(instance.folder, `marllb-dp${suffix}.conf`);
  return {
    async prepare() {
      if (!existsSync(binary)) throw new LaunchError(`${binary} is missing: run npm run build`);
      writeFileSync(file, `${dpLines(config).join("\n")}\n`, { mode: 0o600 });
    },
    processes: () => [
      {
        name: `marllb-dp${suffix}`,
        command: binary,
        args: ["--config", file, "--stop-with-stdin", "--supervise"],
        // When a new binary was started by hand and took over, this one ended: the next takes it back. Not at first: whoever serves
        // there then is another instance's.
        restartArgs: ["--takeover"],
        stopMs: config.dataplane.drain_timeout_ms + 3000,
      },
    ],
    async cleanUp(served) {
      // A clean stop removed both already; kill -9 did not.
      if (!served) return;
      for (const end of ["", ".ctl", ".order"]) rmSync(`${config.region.path}${end}`, { force: true });
    },
  };
}
