// SPDX-License-Identifier: Apache-2.0
// Who may receive new flows: pool, drains, overrides.
import { type Command, Option } from "commander";
import { MODE_WORDS, modeLabel, wireVipState } from "../../common/vocabulary.js";
import { columns, output, plainEnum } from "../print.js";
import { findVip, withClients } from "../target.js";
import { type Common, common, address as parseAddress, weightArguments } from "./common.js";
import { readPool } from "./pool-file.js";

type VipFlag = Common & { vip?: string };
const vipOption = (c: Command): Command => common(c).option("--vip <name>", "VIP by name or number (default: the only one)");

export function register(program: Command): void {
  vipOption(program.command("servers").description("the pool: health, factor, reason, flows")).action((o: VipFlag) =>
    withClients(o, async (clients) => {
      const { vip_id, name } = await findVip(clients, o);
      const p = await clients.failover.any("GetPool", { vip_id, name });
      output(o.json, p, () => {
        const rows = p.members.map((m) => {
          const s = m.server;
          return [s?.address ?? "", plainEnum(m.health, "HEALTH_FACT_"), m.factor.toFixed(2), m.flows, m.reason];
        });
        const owner = p.pool?.managed ? `managed, revision ${p.pool.revision}` : "local";
        return [
          `${name}: ${wireVipState.word(p.state)}, term ${p.term}, pool ${owner}${p.override ? `, override: ${p.override.reason}` : ""}`,
          columns(["server", "health", "factor", "flows", "reason"], rows),
        ].join("\n");
      });
    }),
  );

  for (const verb of ["drain", "undrain"] as const) {
    const what = verb === "drain" ? "no new flows to a server; those it has run on" : "new flows again";
    vipOption(program.command(verb).description(what).argument("<address>", "server", parseAddress)).action(
      (address: string, o: VipFlag) =>
        withClients(o, async (clients) => {
          const { vip_id, name } = await findVip(clients, o);
          const request = { vip_id, name, address };
          if (verb === "undrain") {
            const r = await clients.failover.any("Undrain", request);
            output(o.json, r, () => `${address} receives new flows again`);
          } else {
            const r = await clients.failover.any("Drain", request);
            output(o.json, r, () => `${address} drains; ${r.flows} flows in progress`);
          }
        }),
    );
  }

  const override = program.command("override").description("weights that win over every policy until cleared");
  vipOption(
    override
      .command("set")
      .description("sets it; servers that are not named keep their configured weight")
      .argument("<address=weight...>"),
  )
    .requiredOption("--reason <text>", "why; shown to everybody")
    .addOption(new Option("--mode <name>", "and this mode").choices(MODE_WORDS))
    .action((list: string[], o: VipFlag & { reason: string; mode?: string }) =>
      withClients(o, async (clients) => {
        const { vip_id, name } = await findVip(clients, o);
        const request = { vip_id, name, weights: weightArguments(list), mode: modeLabel(o.mode), reason: o.reason };
        const r = await clients.failover.any("SetOverride", request);
        output(o.json, r, () => `override in term ${r.term}; end it with: marllbctl override clear`);
      }),
    );
  vipOption(override.command("clear").description("ends it: the policy sets the weights again")).action((o: VipFlag) =>
    withClients(o, async (clients) => {
      const { vip_id, name } = await findVip(clients, o);
      const r = await clients.failover.any("ClearOverride", { vip_id, name });
      output(o.json, r, () => `no override any more, term ${r.term}`);
    }),
  );

  const pool = program.command("pool").description("the wanted server list of a managed pool");
  vipOption(pool.command("apply").description('replace it from a JSON file: {"servers": [{"address", "weight", "drain"}]}'))
    .argument("<file>")
    .option("--dry-run", "only say what would change", false)
    .action((file: string, o: VipFlag & { dryRun: boolean }) =>
      withClients(o, async (clients) => {
        const wanted = readPool(file);
        const { vip_id, name } = await findVip(clients, o);
        const request = { pool: { vip_id, name, managed: true, servers: wanted }, dry_run: o.dryRun };
        const r = await clients.failover.any("ApplyPool", request);
        output(o.json, r, () => [`revision ${r.pool?.revision}${o.dryRun ? " (not applied)" : ""}`, ...r.changes].join("\n"));
      }),
    );
}
