// SPDX-License-Identifier: Apache-2.0
// The configuration, before anything is started by it.
import type { Command } from "commander";
import { ConfigError } from "../../common/config/error.js";
import { jsonSchema } from "../../common/config/json-schema.js";
import { type Config, loadConfig } from "../../common/config/load.js";
import { modelsFolder, policyProblem } from "../../common/policies.js";
import { DATAPLANES, findDataplane } from "../dataplanes/index.js";
import { append } from "../flags.js";
import { output } from "../print.js";
import { defaultConfig } from "../up/launch-plan.js";

/** What only shows when the parts are looked at together. */
function problemsOf(file: string, config: Config): string[] {
  const { kind } = config.dataplane;
  const out = DATAPLANES.some((d) => d.kind === kind)
    ? []
    : [`${file}: dataplane.kind: expected one of ${DATAPLANES.map((d) => d.kind).join(", ")}, found ${kind}`];
  const modes = out.length === 0 ? findDataplane(kind).modes : null;
  const models = modelsFolder(config.inference.models);
  for (const v of config.vips) {
    const policy = policyProblem(v.policy, models);
    if (policy !== null) out.push(`${file}: VIP ${v.name}: policy: ${policy}`);
    if (modes && !modes.includes(v.mode))
      out.push(`${file}: VIP ${v.name}: mode: data plane ${kind} has ${modes.join(", ")}, not ${v.mode}`);
  }
  return out;
}

function check(file: string, o: { set?: string[]; json: boolean }): void {
  let problems: readonly string[];
  let config: Config | null = null;
  try {
    config = loadConfig(file, o.set ?? []);
    problems = problemsOf(file, config);
  } catch (e) {
    if (!(e instanceof ConfigError)) throw e;
    problems = e.problems;
  }
  const ok = problems.length === 0;
  const servers = config?.vips.reduce((n, v) => n + v.servers.length, 0) ?? 0;
  const counts = { vips: config?.vips.length ?? 0, servers };
  if (!ok) process.exitCode = 2;
  if (!ok && !o.json) process.stderr.write(`${problems.join("\n")}\n`);
  else output(o.json, { file, ok, problems, ...counts }, () => `${file}: good; ${counts.vips} VIPs, ${servers} servers`);
}

export function register(program: Command): void {
  const config = program.command("config").description("the configuration, before anything is started by it");
  config
    .command("check")
    .description("whether services would take it: exit code 0, or 2 with every problem by line")
    .argument("[file]", "configuration", defaultConfig)
    .option("--set <key=value>", "override one value; may be repeated", append)
    .option("--json", "the answer as JSON", false)
    .action(check);
  config
    .command("schema")
    .description("print its JSON Schema, for editors: # yaml-language-server: $schema=FILE")
    .action(() => void process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`));
}
