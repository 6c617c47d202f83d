// SPDX-License-Identifier: Apache-2.0
// checks-main TARGETS PORT MS: prints checks()'s result, its lateness as the 99th percentile.
import { quantile } from "../row.js";
import { checks } from "./checks.js";

const [targets, port, ms] = process.argv.slice(2).map(Number) as [number, number, number];
const r = await checks(targets, port, ms);
const lateP99 = quantile(r.late, 0.99).value;
process.stdout.write(`${JSON.stringify({ checks: r.checks, failed: r.failed, cpu: r.cpu, lateP99 })}\n`);
process.exit(0);
