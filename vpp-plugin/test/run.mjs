// SPDX-License-Identifier: Apache-2.0
// node vpp-plugin/test/run.mjs [TEXT [WORKERS]]: the plugin's tests in VPP, TAP out; groups whose name holds TEXT. A VPP of its own for
// each group. WORKERS beyond the machine's cores share them.
import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { buildVpp, findVpp } from "../../scripts/build-vpp.mjs";
import { checked, runCases } from "./lib/cases.mjs";
import { done } from "./lib/tap.mjs";
import { workersHere } from "./lib/vpp.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const groups = [];
for (const file of readdirSync(path.join(here, "cases")).sort()) groups.push(...(await import(`./cases/${file}`)).groups);

// Exit handlers end the VPPs and remove the namespaces of a run that is broken off.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
const vpp = findVpp();
const only = process.argv[2];
if (vpp.missing) {
  const count = groups.reduce((n, g) => n + (g.count ?? g.cases.length), 0);
  console.log(`# SKIP ${count} ${vpp.missing}`);
} else {
  const pluginDir = await buildVpp(vpp);
  const workers = Number(process.argv[3] ?? workersHere());
  console.log(`# VPP in ${vpp.prefix}, ${workers} worker(s): ${workers} of 3 asked for, a core each besides the main thread's`);
  for (const g of groups) if (!only || g.name.includes(only)) await runCases(g, { prefix: vpp.prefix, pluginDir, workers });
  console.log(`# packets checked: ${checked}`);
  done();
}
