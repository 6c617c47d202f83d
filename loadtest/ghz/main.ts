// SPDX-License-Identifier: Apache-2.0
// node scripts/run.mjs loadtest/ghz/main.js [HOST:PORT of a running agent]: both profiles, one line each.
import { findGhz, installHint, runProfile } from "./profile.js";

const ghz = findGhz();
if (!ghz) {
  process.stderr.write(`ghz is not installed: ${installHint}\n`);
  process.exit(1);
}
const address = process.argv[2] ?? "127.0.0.1:50051";
for (const name of ["unary", "streaming"] as const) {
  const s = await runProfile(ghz, name, address);
  // Streams that ghz ends are cancelled, and have no percentiles there.
  const ms = (v: number): string => (Number.isFinite(v) ? v.toFixed(2) : "-");
  const times = `average ${ms(s.average)} ms, p50 ${ms(s.p50)} ms, p99 ${ms(s.p99)} ms`;
  process.stdout.write(`${name}: ${s.count} calls, ${s.rps.toFixed(0)}/s, ${times}, ${JSON.stringify(s.statuses)}\n`);
}
