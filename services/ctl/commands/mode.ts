// SPDX-License-Identifier: Apache-2.0
// The selection mode belongs to the data plane: `marllbctl mode NAME` asks the one of this host, where its kind can be asked.
import type { Command } from "commander";
import { MODE_WORDS, wireMode } from "../../common/vocabulary.js";
import { DATAPLANES, findDataplane } from "../dataplanes/index.js";
import { targetConfig } from "../own-config.js";
import { output } from "../print.js";
import { findVip, withClients } from "../target.js";
import { LaunchError } from "../up/error.js";
import { type Common, common } from "./common.js";

export function register(program: Command): void {
  const able = DATAPLANES.flatMap((d) => (typeof d.setMode === "function" ? [d.kind] : [])).join(", ");
  common(
    program.command("mode").description(`the selection mode; with an argument, sets it in the data plane of this host (${able})`),
  )
    .argument("[mode]", MODE_WORDS.join(", "))
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .action((mode: string | undefined, o: Common & { vip?: string }) =>
      withClients(o, async (clients) => {
        const vip = await findVip(clients, o);
        if (mode === undefined) {
          const modes = vip.at.map((a) => ({ instance: a.lb.status.instance, mode: wireMode.word(a.vip.mode) }));
          return output(o.json, modes.length === 1 ? { mode: modes[0]?.mode } : modes, () =>
            modes.map((m) => (modes.length === 1 ? m.mode : `${m.instance}: ${m.mode}`)).join("\n"),
          );
        }
        const config = targetConfig(o);
        // Its data plane is asked on this host: it must be the one whose agents were asked.
        const elsewhere = vip.at.map((a) => a.lb.status.instance).filter((name) => name !== config.instance);
        if (elsewhere.length > 0) {
          throw new LaunchError(
            `mode: sets it at the load balancer of this host, ${config.instance}; asked was ${elsewhere.join(", ")}: run it there, or name one with --instance, --config or --lb`,
            2,
          );
        }
        const dataplane = findDataplane(config.dataplane.kind);
        if (!dataplane.modes.includes(mode)) {
          throw new LaunchError(`mode ${mode}: expected one of ${dataplane.modes.join(", ")}`, 2);
        }
        const { setMode } = dataplane;
        if (typeof setMode !== "function") throw new LaunchError(setMode.byHand(vip.name, mode));
        await setMode(config, vip.name, mode);
        output(o.json, { mode }, () => `${vip.name}: mode ${mode}, until the data plane reads its configuration again`);
      }),
    );
}
