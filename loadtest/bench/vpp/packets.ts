// SPDX-License-Identifier: Apache-2.0
// The plugin's tests as a figure: packets that are described there, with what must become of each.
import path from "node:path";
import { pathToFileURL } from "node:url";
import { projectRoot } from "../../../services/common/root.js";
import type { BenchOptions, Group } from "../harness.js";
import { exact, row } from "../row.js";
import { absent, modules } from "./vpp.js";

type Exec = (command: string, args: string[], o: { env?: Record<string, string> }) => Promise<{ code: number; out: string }>;

async function run(o: BenchOptions): Promise<void> {
  const found = (await modules()).findVpp();
  if (found.missing !== undefined) throw new Error(found.missing);
  const { exec } = (await import(pathToFileURL(path.join(projectRoot, "scripts/lib/exec.mjs")).href)) as { exec: Exec };
  const { out } = await exec(process.execPath, ["vpp-plugin/test/run.mjs"], { env: { VPP_PREFIX: found.prefix } });
  const checked = Number(/^# packets checked: (\d+)/m.exec(out)?.[1] ?? Number.NaN);
  const wrong = [...out.matchAll(/^not ok \d+ - (.*)$/gm)].map((m) => m[1] as string);
  if (Number.isNaN(checked)) throw new Error(`the tests did not end:\n${out.slice(-2000)}`);
  o.report(
    row(
      "vpp.packets_checked",
      "packets",
      ">= 400",
      exact(checked, 1),
      "sent in the plugin's tests, each with what must become of it",
    ),
  );
  o.report(row("vpp.packets_wrong", "cases", "<= 0", exact(wrong.length, 1), wrong.join("; ") || "tests that failed"));
}

export const packets: Group = {
  ids: ["vpp.packets_checked", "vpp.packets_wrong"],
  async run(o) {
    const why = await absent();
    if (why === undefined) return run(o);
    for (const id of this.ids) o.report(row(id, "packets", "", null, why));
  },
};
