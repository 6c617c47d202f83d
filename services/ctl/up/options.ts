// SPDX-License-Identifier: Apache-2.0
// The flags of `up`, checked one by one; what they mean together is plan.ts.
import { type Command, InvalidArgumentError, Option } from "commander";
import { isIpPort } from "../../common/config/address.js";
import { modelsFolder, policyNames } from "../../common/policies.js";
import { MODE_WORDS } from "../../common/vocabulary.js";
import { DATAPLANE_KINDS, dataplaneHelp } from "../dataplanes/index.js";
import { append, number } from "../flags.js";

export interface UpOptions {
  config?: string;
  servers?: { address: string; weight: number }[];
  vip?: string;
  policy?: string;
  mode?: string;
  tick?: number;
  threads?: number;
  dataplane?: string;
  instance?: string;
  loadBalancers: number;
  duration?: number;
  rate?: number;
  meanMs: number;
  demoCores: number[];
  otlp?: string;
  set?: string[];
  drain?: number;
  ready: number;
  plain: boolean;
  stopWithStdin: boolean;
}

function ipPort(text: string): string {
  if (!isIpPort(text)) throw new InvalidArgumentError('expected IP:PORT, such as 127.0.0.1:8080 or "[::1]:8080".');
  return text;
}

export function serverList(text: string): { address: string; weight: number }[] {
  return text.split(",").map((item) => {
    const [, address = "", weight = "1"] = /^(.*?)(?:=([^=]*))?$/.exec(item.trim()) ?? [];
    if (!(Number(weight) > 0)) throw new InvalidArgumentError(`${item}: expected a positive weight after '='.`);
    return { address: ipPort(address), weight: Number(weight) };
  });
}

function cores(text: string): number[] {
  const list = text.split(",").map(Number);
  if (list.some((c) => !(c > 0 && c <= 1024)) || list.length > 64)
    throw new InvalidArgumentError("expected numbers such as 1,2,4,8.");
  return list;
}

export function upFlags(command: Command): Command {
  return command
    .description(
      "start a whole load balancer on this machine: data plane, four services, and without servers of yours a demonstration",
    )
    .option("--servers <list>", "real servers instead of the demo's: IP:PORT[=WEIGHT],...", serverList)
    .option("--vip <address>", "address to listen on (default: the configuration's, 127.0.0.1:8080)", ipPort)
    .option("--config <file>", "configuration (default: deploy/config/marllb.yaml)")
    .option("--policy <name>", `who sets weights: ${policyNames(modelsFolder("models")).join(", ")}`)
    .addOption(new Option("--mode <name>", "how the data plane uses them").choices(MODE_WORDS))
    .option("--tick <ms>", "how often weights are set (default: 200)", number(10, 10_000))
    .option("--threads <n>", "threads of the data plane (default: one a core)", number(1, 64))
    .addOption(new Option("--dataplane <kind>", dataplaneHelp()).choices(DATAPLANE_KINDS))
    .option(
      "--instance <name>",
      "its own region, folder and ports, beside other instances (default: marllb; of a --config that names none: the host's name)",
    )
    .option(
      "--load-balancers <n>",
      "so many of them, with the same servers, each with a data plane and addresses of its own",
      number(1, 8),
      1,
    )
    .option("--duration <s>", "stop by itself after so many seconds", number(0, 1e9))
    .option("--rate <n>", "demo requests a second, 0 for none (default: 80 % of the demo servers' capacity)", number(0, 20_000))
    .option("--mean-ms <ms>", "mean size of a demo request on one core", number(0, 60_000), 150)
    .option("--demo-cores <list>", "virtual cores of the demo servers", cores, [1, 1, 2, 2, 4, 4, 8, 8])
    .option("--otlp <url>", "send traces there over OTLP gRPC (or OTEL_EXPORTER_OTLP_ENDPOINT), such as http://127.0.0.1:4317")
    .option("--set <key=value>", "override one value of the configuration; may be repeated", append)
    .option(
      "--drain <s>",
      "at a stop, wait at most so long for connections to end (default: the configuration's, 30)",
      number(0, 3600),
    )
    .option("--ready <s>", "how long each part may take until it serves", number(1, 3600), 60)
    .option("--plain", "plain lines instead of the live table", false)
    .option("--stop-with-stdin", "stop when standard input ends", false);
}
