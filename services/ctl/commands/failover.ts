// SPDX-License-Identifier: Apache-2.0
// Who may receive new flows: pool and overrides.
import { type Command, Option } from "commander";
import type { GetPoolResponse__Output } from "../../../gen/marllb/v1/GetPoolResponse.js";
import type { PoolMember__Output } from "../../../gen/marllb/v1/PoolMember.js";
import { MODE_WORDS, modeLabel, wireVipState } from "../../common/vocabulary.js";
import { flowsText, poolFlows } from "../pool-flows.js";
import { columns, output, plainEnum } from "../print.js";
import { findVip, findVipToOrder, withClients } from "../target.js";
import { type Common, common, poolWide, weightArguments } from "./common.js";
import { askPools, byWhen } from "./hold.js";
import { readPool } from "./pool-file.js";

type VipFlag = Common & { vip?: string };
const withVip = (c: Command): Command => c.option("--vip <name>", "VIP by name or number (default: the only one)");
const orderOf = (c: Command): Command => withVip(poolWide(c));

export function register(program: Command): void {
  withVip(common(program.command("servers").description("the pool: health, factor, reason, flows"))).action((o: VipFlag) =>
    withClients(o, async (clients) => {
      const vip = await findVip(clients, o);
      const { name } = vip;
      const { pools, silent } = await askPools(clients, vip);
      // The one that hears most load balancers knows most of health and flows.
      const heard = (x: GetPoolResponse__Output): number => x.load_balancers.filter((l) => l.heard).length;
      const p = pools.reduce((best, x) => (heard(x) > heard(best) ? x : best));
      const flows = poolFlows(pools, silent.length);
      output(o.json, p, () => {
        const rows = p.members.map((m) => {
          const s = m.server;
          const count = flowsText(flows.get(s?.address ?? ""));
          return [s?.address ?? "", plainEnum(m.health, "HEALTH_FACT_"), m.factor.toFixed(2), count, reasonsOf(m, p)];
        });
        const unknown = new Set([...flows.values()].map((f) => f.unknown).filter(Boolean));
        const notes = [...unknown].map((u) => `+ there may be more flows: ${u}`);
        if (p.members.length > 0 && p.members.every((m) => m.factor === 0))
          notes.push("no server may take new flows: load balancers send them to all rather than to none");
        if (p.stale !== "") notes.push(`the newest orders may not be known: ${p.stale}`);
        if (p.discovery && p.discovery.problem !== "") notes.push(`${p.discovery.from}: ${p.discovery.problem}; ${standing(p)}`);
        return [
          `${name}: ${wireVipState.word(p.state)}, term ${p.term}, pool ${owner(p)}${p.override ? `, override by ${p.override.by}: ${p.override.reason}` : ""}${p.policy ? `, policy ${p.policy.name} by ${p.policy.by}` : ""}`,
          columns(["server", "health", "factor", "flows", "reason"], rows),
          ...notes,
        ].join("\n");
      });
    }),
  );

  const override = program.command("override").description("weights that win over every policy until cleared");
  orderOf(
    override
      .command("set")
      .description("sets it; servers that are not named keep their configured weight")
      .argument("<address=weight...>"),
  )
    .requiredOption("--reason <text>", "why; shown to everybody")
    .addOption(new Option("--mode <name>", "and this mode").choices(MODE_WORDS))
    .action((list: string[], o: VipFlag & { reason: string; mode?: string }) =>
      withClients(o, async (clients) => {
        const { vip_id, name } = await findVipToOrder(clients, o);
        const request = { vip_id, name, weights: weightArguments(list), mode: modeLabel(o.mode), reason: o.reason };
        const r = await clients.failover.any("SetOverride", request);
        output(o.json, r, () => `override in term ${r.term}; end it with: marllbctl override clear`);
      }),
    );
  const clear = override.command("clear").description("ends it: the policy sets the weights again");
  const why = ["--reason <text>", "why; kept in the history", ""] as const;
  orderOf(clear)
    .option(...why)
    .action((o: VipFlag & { reason: string }) =>
      withClients(o, async (clients) => {
        const { vip_id, name } = await findVipToOrder(clients, o);
        const r = await clients.failover.any("ClearOverride", { vip_id, name, reason: o.reason });
        output(o.json, r, () => `no override any more, term ${r.term}`);
      }),
    );

  const pool = program.command("pool").description("the wanted server list of a managed pool");
  orderOf(pool.command("apply").description('replace it from a JSON file: {"servers": [{"address", "weight", "drain"}]}'))
    .argument("<file>")
    .option("--dry-run", "only say what would change", false)
    .option(...why)
    .action((file: string, o: VipFlag & { dryRun: boolean; reason: string }) =>
      withClients(o, async (clients) => {
        const wanted = readPool(file);
        const { vip_id, name } = await findVipToOrder(clients, o);
        const request = { pool: { vip_id, name, managed: true, servers: wanted }, dry_run: o.dryRun, reason: o.reason };
        const r = await clients.failover.any("ApplyPool", request);
        const head = `revision ${r.pool?.revision}${o.dryRun ? " (not applied)" : ""}`;
        output(o.json, r, () => [head, ...r.changes, ...r.changes.flatMap((c) => WHOSE[c] ?? [])].join("\n"));
      }),
    );
}

/** Why a server has the factor and weight that it has, and by whose order. */
function reasonsOf(m: PoolMember__Output, { override }: GetPoolResponse__Output): string {
  const pinned = override?.weights.find((w) => w.address === m.server?.address)?.weight;
  const reasons = [
    m.check === "" ? m.reason : `${m.reason || "down"} (${m.check})`,
    ...m.holds.map((h) => `${byWhen(h).trimStart()} by ${h.by}${h.reason === "" ? "" : `: ${h.reason}`}`.trimStart()),
    pinned === undefined ? "" : `override weight ${pinned}`,
  ];
  return reasons.filter(Boolean).join(", ");
}

/** Where the members come from. */
function owner({ pool, source, discovery }: GetPoolResponse__Output): string {
  if (source === "POOL_SOURCE_OPERATOR") {
    const instead = discovery ? `, not followed: ${discovery.from}` : "";
    return `managed, revision ${pool?.revision}${instead}`;
  }
  if (!discovery) return "local";
  return source === "POOL_SOURCE_DISCOVERY" ? `found by ${discovery.from}` : `local, until ${discovery.from} is found`;
}

/** What holds while a name or a file is not found. */
function standing({ discovery: d }: GetPoolResponse__Output): string {
  const at = Number(d?.found_at_unix_ms ?? 0);
  return at === 0 ? "the data planes keep what they have" : `what was found at ${new Date(at).toISOString()} stands`;
}

/** What follows from a change of a pool's owner. */
const WHOSE: Record<string, string> = {
  "local -> managed": "this list is the pool's at every load balancer from now on; an empty one hands it back",
  "managed -> local": "each data plane keeps the servers that it has; SIGHUP makes it read its own file's again",
};
