// SPDX-License-Identifier: Apache-2.0
// For systemd and containers: marllb-dp's own configuration from marllb.yaml.
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { loadConfig } from "../../common/config/load.js";
import { dpLines } from "../dataplanes/embedded.js";
import { append } from "../flags.js";
import { output } from "../print.js";
import { defaultConfig } from "../up/launch-plan.js";

export function register(program: Command): void {
  program
    .command("dp-config")
    .description("print the configuration of marllb-dp that a marllb.yaml asks for")
    .option("--config <file>", "configuration", defaultConfig)
    .option("--set <key=value>", "override one value; may be repeated", append)
    .option("--out <file>", "write it there, by rename, instead of printing it")
    .option("--json", "print the lines as JSON", false)
    .action((o: { config: string; set?: string[]; out?: string; json: boolean }) => {
      const lines = dpLines(loadConfig(o.config, o.set ?? []));
      const text = lines.join("\n");
      if (o.out === undefined) {
        output(o.json, { lines }, () => text);
        return;
      }
      mkdirSync(path.dirname(o.out), { recursive: true });
      const fresh = `${o.out}.${process.pid}.new`;
      writeFileSync(fresh, `${text}\n`, { mode: 0o600 });
      renameSync(fresh, o.out);
    });
}
