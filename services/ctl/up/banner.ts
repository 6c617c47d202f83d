// SPDX-License-Identifier: Apache-2.0
// What is printed once: where everything is, and one line each to try.
import { formatHostPort, parseHostPort } from "../../common/config/address.js";
import type { ServiceName } from "../../common/config/load.js";
import { SERVICES } from "../../common/config/schema.js";
import type { Instance } from "./instance.js";
import type { Plan } from "./launch-plan.js";
import { serviceLabel } from "./processes.js";

/** The console as a browser opens it. The token stands behind #, which is neither sent nor logged: the page reads it. */
function consoleUrl({ config: c }: Plan, token: string): string {
  const { host, port } = parseHostPort(c.services.console.listen) ?? { host: "127.0.0.1", port: 3000 };
  const any = { "0.0.0.0": "127.0.0.1", "::": "::1" }[host] ?? host;
  return `${c.tls ? "https" : "http"}://${formatHostPort(any, port)}/${token === "" ? "" : `#token=${token}`}`;
}

export const consoleLine = (plan: Plan, { token }: Pick<Instance, "token">): string => `  console     ${consoleUrl(plan, token)}`;

/** But for the console's line, which is printed as soon as it serves. */
export function banner(plan: Plan, { logs }: Pick<Instance, "logs">): string[] {
  const c = plan.config;
  const lines = [`marllb instance ${c.instance}, data plane ${c.dataplane.kind}`];
  for (const v of [c, ...plan.others].flatMap((lb) => lb.vips)) {
    if (v.protocol === "udp") {
      lines.push(`  VIP ${v.name}   ${v.address}, UDP   servers: ${v.servers.length}`);
      continue;
    }
    const url = `http://${v.address}/`;
    // A shell may take an IPv6 address's brackets for a pattern.
    const typed = url.includes("[") ? `'${url}'` : url;
    lines.push(`  VIP ${v.name}   ${url}   try: curl -s ${typed}   servers: ${v.servers.length}`);
  }
  if (plan.demo) {
    lines.push(
      `  demo        ${plan.demo.cores.length} servers of ${plan.demo.cores.join(", ")} cores (undeclared), ${rate(plan.demo.ratePerS)}`,
    );
  }
  const line = (s: ServiceName, of: Plan["config"]): string =>
    `  ${serviceLabel(s).padEnd(11)} gRPC ${of.services[s].listen}   http://${of.services[s].metrics}/metrics`;
  for (const s of SERVICES) if (s !== "console") lines.push(line(s, c));
  for (const other of plan.others) lines.push(line("shm_agent", other));
  const agent = c.services.shm_agent.listen;
  // Where clients must show a certificate, the service's own will do for a try.
  const plaintext = c.tls ? `-insecure${c.tls.ca ? ` -cert ${c.tls.cert} -key ${c.tls.key}` : ""}` : "-plaintext";
  lines.push(`  grpcurl     grpcurl ${plaintext} ${agent.includes("[") ? `'${agent}'` : agent} marllb.v1.ShmAgent/GetStatus`);
  if (c.tracing.endpoint !== "") lines.push(`  traces      ${c.tracing.endpoint}, services marllb-<service>`);
  for (const note of plan.notes) lines.push(`  note        ${note}`);
  lines.push(`  logs        ${logs}`, "  stop        Ctrl-C (drains first)");
  return lines;
}

const rate = (perS: number): string => (perS > 0 ? `${Math.round(perS)} requests/s` : "no requests of its own");
