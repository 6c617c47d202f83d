// SPDX-License-Identifier: Apache-2.0
// What an instance runs, as data: the four services and the demonstration. The data plane's are its own module's.
import type { ServiceName } from "../../common/config/load.js";
import { NODE_ARGS } from "../../common/node-args.js";
import { programFile } from "../../common/root.js";
import type { ChildSpec } from "./child.js";
import type { Plan } from "./launch-plan.js";

export const serviceLabel = (s: ServiceName): string => s.replace("_", "-");

/** `suffix`: of its name, where a load balancer is not the first. */
export function serviceSpec(service: ServiceName, configFile: string, suffix = ""): ChildSpec {
  const label = serviceLabel(service);
  return {
    name: `${label}${suffix}`,
    command: process.execPath,
    args: [...NODE_ARGS, programFile(label), "--config", configFile, "--stop-with-stdin"],
  };
}

export function demoServersSpec(plan: Plan): ChildSpec | undefined {
  if (!plan.demo) return undefined;
  const servers = plan.config.vips[0]?.servers ?? [];
  const ports = servers.map((s) => s.address.split(":").at(-1)).join(",");
  const args = [
    "--cores",
    plan.demo.cores.join(","),
    "--ports",
    ports,
    "--mean-ms",
    String(plan.demo.meanMs),
    "--stop-with-stdin",
  ];
  return { name: "demo-servers", command: process.execPath, args: [programFile("demo-servers"), ...args] };
}

export function demoLoadSpec(plan: Plan): ChildSpec | undefined {
  if (!plan.demo || plan.demo.ratePerS <= 0) return undefined;
  const targets = [plan.config, ...plan.others].map((c) => c.vips[0]?.address ?? "");
  const args = [
    "--targets",
    targets.join(","),
    "--rate",
    String(plan.demo.ratePerS),
    "--mean-ms",
    String(plan.demo.meanMs),
    "--stop-with-stdin",
  ];
  const stopMs = plan.config.dataplane.drain_timeout_ms + 1000;
  return { name: "demo-load", command: process.execPath, args: [programFile("demo-load"), ...args], stopMs };
}
