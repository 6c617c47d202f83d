// SPDX-License-Identifier: Apache-2.0
// node scripts/run.mjs loadtest/ghz/main.js [flags]: load profiles of every RPC against a running marllb, each with its verdict.
import { parseArgs } from "node:util";
import { ConfigError } from "../../services/common/config/error.js";
import { targetConfig } from "../../services/ctl/own-config.js";
import { LaunchError } from "../../services/ctl/up/error.js";
import { PROFILES } from "./profiles.js";
import { findGhz, installHint, type Place, resultLine, runProfile } from "./run.js";
import { placesOf, subjectOf, Unreachable } from "./subject.js";

const usage = `usage: node scripts/run.mjs loadtest/ghz/main.js [--instance NAME | --config FILE] [--only TEXT] [--orders]
Runs ghz against the services of a running instance (default: marllb), one line a profile; exit code 1 where one misses its bar.
  --only TEXT  only calls with this in their name, such as Failover
  --orders     those too that change something (drains, overrides, policies); each is taken back by the one after it
`;

async function main(): Promise<number> {
  const { values: o } = parseArgs({
    options: {
      instance: { type: "string" },
      config: { type: "string" },
      only: { type: "string" },
      orders: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (o.help) {
    process.stdout.write(usage);
    return 0;
  }
  const ghz = findGhz();
  if (!ghz) throw new Unreachable(`ghz is not installed: ${installHint}`);
  const chosen = PROFILES.filter((p) => p.call.includes(o.only ?? "") && (o.orders || !p.orders));
  if (chosen.length === 0) throw new LaunchError(`--only ${o.only}: no such call`, 2);
  const { instance, config: file } = o;
  const config = targetConfig({ ...(instance !== undefined && { instance }), ...(file !== undefined && { config: file }) });
  const places = await placesOf(config);
  const subject = await subjectOf(config, places);
  let failed = 0;
  for (const p of chosen) {
    const r = await runProfile(ghz, p, subject, places.get(p.service) as Place);
    if (r.missed.length > 0) failed++;
    process.stdout.write(`${resultLine({ ...r, call: `${p.service} ${r.call}` })}\n`);
  }
  process.stdout.write(`${chosen.length - failed} of ${chosen.length} profiles pass\n`);
  return failed > 0 ? 1 : 0;
}

try {
  process.exit(await main());
} catch (e) {
  const known = e instanceof Unreachable || e instanceof LaunchError || e instanceof ConfigError;
  // Of a program that failed, the code is its exit code, a number.
  const usageError = String((e as NodeJS.ErrnoException).code).startsWith("ERR_PARSE_ARGS");
  if (!known && !usageError) throw e;
  process.stderr.write(`${(e as Error).message}\n${usageError ? usage : ""}`);
  process.exit(usageError || e instanceof ConfigError ? 2 : e instanceof LaunchError ? e.exitCode : 1);
}
