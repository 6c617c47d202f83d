// SPDX-License-Identifier: Apache-2.0
// The command line that the four services have in common.
import { Command, InvalidArgumentError } from "commander";
import { parseHostPort } from "./config/address.js";
import { type Config, loadConfig, type ServiceName } from "./config/load.js";

export interface ServiceArgs {
  config: Config;
  stopWithStdin: boolean;
}

function port(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0 || n > 65535) throw new InvalidArgumentError("expected 0 to 65535");
  return n;
}

export function parseArgs(service: ServiceName, argv: readonly string[]): ServiceArgs {
  const command = new Command(`marllb-${service.replace("_", "-")}`)
    .requiredOption("--config <file>", "configuration, such as deploy/config/marllb.yaml")
    .option("--port <n>", "gRPC port instead of the configuration's; 0 = any free one", port)
    .option("--metrics-port <n>", "port of /metrics instead of the configuration's; 0 = any free one", port)
    .option(
      "--set <key=value>",
      "overrides one value of the configuration; may be repeated",
      (v, all: string[]) => [...all, v],
      [],
    )
    .option("--stop-with-stdin", "stop when standard input ends (for launchers and tests)", false);
  command.parse(argv as string[], { from: "user" });
  const o = command.opts<{ config: string; port?: number; metricsPort?: number; set: string[]; stopWithStdin: boolean }>();
  const sets = [...o.set];
  const withPort = (key: "listen" | "metrics", n: number): void => {
    const hp = parseHostPort(loadConfig(o.config, o.set).services[service][key]);
    const host = hp?.host ?? "127.0.0.1";
    sets.push(`services.${service}.${key}="${host.includes(":") ? `[${host}]` : host}:${n}"`);
  };
  if (o.port !== undefined) withPort("listen", o.port);
  if (o.metricsPort !== undefined) withPort("metrics", o.metricsPort);
  return { config: loadConfig(o.config, sets), stopWithStdin: o.stopWithStdin };
}
