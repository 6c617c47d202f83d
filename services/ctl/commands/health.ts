// SPDX-License-Identifier: Apache-2.0
import { type Command, Option } from "commander";
import { ACTIVE_KINDS, checkHelp } from "../../common/checks/index.js";
import { output, plainEnum } from "../print.js";
import { withClients } from "../target.js";
import { type Common, common, address as parseAddress } from "./common.js";

export function register(program: Command): void {
  const kind = new Option("--kind <kind>", `${checkHelp(ACTIVE_KINDS)} (default: as configured)`).choices(ACTIVE_KINDS);
  common(
    program
      .command("check")
      .description("check one server's health now; exit code 1 where it is not up")
      .argument("<address>", "server", parseAddress),
  )
    .addOption(kind)
    .action((address: string, o: Common & { kind?: string }) =>
      withClients(o, async ({ health }) => {
        const r = await health.any("Check", { address, kind: o.kind ?? "" }, 70_000);
        const why = r.reason ? `: ${r.reason}` : "";
        if (r.state !== "HEALTH_STATE_UP") process.exitCode = 1;
        output(o.json, r, () => `${plainEnum(r.state, "HEALTH_STATE_")}${why} (${r.rtt_ms.toFixed(1)} ms)`);
      }),
    );
}
