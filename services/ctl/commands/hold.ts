// SPDX-License-Identifier: Apache-2.0
// Taking servers out and back: drains, maintenance, and who ordered what.
import { type Command, Option } from "commander";
import type { GetPoolResponse__Output } from "../../../gen/marllb/v1/GetPoolResponse.js";
import type { Hold__Output } from "../../../gen/marllb/v1/Hold.js";
import type { Clients } from "../client.js";
import { number } from "../flags.js";
import { type PoolFlows, poolFlows } from "../pool-flows.js";
import { columns, output } from "../print.js";
import { type FoundVip, findVip, findVipToOrder, withClients } from "../target.js";
import { LaunchError } from "../up/error.js";
import { type Common, common, address as parseAddress, poolWide } from "./common.js";

type Flags = Common & { vip?: string; reason: string };
type DrainFlags = Flags & { deadline?: number; then?: "wait" | "close"; wait: boolean };

const LOOK_MS = 500;
/** Flows that are closed at the deadline are gone, and known to be, within this time. */
const CLOSE_MS = 10_000;

const orderOf = (c: Command): Command =>
  poolWide(c)
    .argument("<address>", "server", parseAddress)
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .option("--reason <text>", "why; kept in the history", "");

/** What all failover replicas say of a pool, those that can be asked. */
export async function askPools(clients: Clients, vip: FoundVip): Promise<{ pools: GetPoolResponse__Output[]; silent: string[] }> {
  const asked = await clients.failover.each("GetPool", { vip_id: 0, name: vip.name });
  const pools = asked.flatMap((a) => ("answer" in a ? [a.answer] : []));
  const silent = asked.flatMap((a) => ("error" in a ? [a.error.message] : []));
  if (pools.length === 0) throw new LaunchError(silent.join("\n"));
  return { pools, silent };
}

export function register(program: Command): void {
  orderOf(program.command("drain").description("no new flows to a server; those it has run on"))
    .option("--deadline <s>", "by when its flows are to be gone", number(1, 31_536_000))
    .addOption(
      new Option("--then <what>", "what becomes of those left at the deadline (default: wait)").choices(["wait", "close"]),
    )
    .option("--wait", "until it has no flows at any load balancer; over the deadline: exit code 1", false)
    .action((address: string, o: DrainFlags) => withClients(o, (clients) => drain(clients, address, o)));
  orderOf(program.command("undrain").description("new flows again")).action((address: string, o: Flags) =>
    withClients(o, async (clients) => {
      const { vip_id, name } = await findVipToOrder(clients, o);
      const r = await clients.failover.any("Undrain", { vip_id, name, address, reason: o.reason });
      output(o.json, r, () => {
        const held = r.holds.map((h) => `maintenance by ${h.by} (end it with: marllbctl maintenance end)`);
        const why = held.length > 0 ? held.join(", ") : r.no_flows;
        return `${address} is no longer drained, term ${r.term}${why === "" ? "" : `; it gets no new flows: ${why}`}`;
      });
    }),
  );
  const maintenance = program
    .command("maintenance")
    .description("a server out of service: no new flows, and its checks count for nothing");
  for (const [verb, on] of [
    ["start", true],
    ["end", false],
  ] as const) {
    const what = on ? "begins it; undrain does not end it" : "ends it";
    orderOf(maintenance.command(verb).description(what)).action((address: string, o: Flags) =>
      withClients(o, async (clients) => {
        const { vip_id, name } = await findVipToOrder(clients, o);
        const r = await clients.failover.any("SetMaintenance", { vip_id, name, address, reason: o.reason, on });
        output(o.json, r, () => `${address} is ${on ? "in" : "no longer in"} maintenance, term ${r.term}`);
      }),
    );
  }
  common(program.command("history").description("what was ordered of a pool: when, by whom, why; newest first"))
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .option("--limit <n>", "at most so many", number(1, 1000), 20)
    .action((o: Common & { vip?: string; limit: number }) =>
      withClients(o, async (clients) => {
        const { vip_id, name } = await findVip(clients, o);
        const r = await clients.failover.any("History", { vip_id, name, limit: o.limit });
        const experiments = await lastExperiment(clients, name);
        const changes = r.changes.map((c) => ({ ...c, at: Number(c.at_unix_ms) }));
        const all = [...changes, ...experiments].sort((a, b) => b.at - a.at).slice(0, o.limit);
        const rows = all.map((c) => [c.version, new Date(c.at).toISOString(), c.by, c.what.join(", "), c.reason]);
        output(o.json, { ...r, experiments }, () => columns(["version", "when", "by", "what", "why"], rows));
      }),
    );
}

/** The begin and end of a VIP's last experiment, as orders are listed; while inference is away, none. */
async function lastExperiment(clients: Clients, vip: string) {
  const asked = await clients.inference.each("GetTrust", { vip }).catch(() => []);
  const found = asked.flatMap((a) => ("answer" in a && a.answer.experiment ? [a.answer.experiment] : []));
  const [e] = found.sort((a, b) => Number(b.started_at_unix_ms) - Number(a.started_at_unix_ms));
  if (!e) return [];
  const begin = {
    version: "-",
    at: Number(e.started_at_unix_ms),
    by: e.by,
    what: [`experiment ${e.id}: ${e.candidate} against ${e.baseline}`],
    reason: e.reason,
  };
  if (e.verdict === "running") return [begin];
  return [
    begin,
    { version: "-", at: Number(e.ended_at_unix_ms), by: "-", what: [`experiment ${e.id}: ${e.verdict}`], reason: e.why },
  ];
}

async function drain(clients: Clients, address: string, o: DrainFlags): Promise<void> {
  const vip = await findVipToOrder(clients, o);
  const { vip_id, name } = vip;
  const ends =
    o.deadline === undefined ? Number.POSITIVE_INFINITY : Date.now() + o.deadline * 1000 + (o.then === "close" ? CLOSE_MS : 0);
  if (o.then !== undefined && o.deadline === undefined) throw new LaunchError("--then: expected with --deadline", 2);
  const close = o.then === "close";
  const request = { vip_id, name, address, reason: o.reason, deadline_ms: (o.deadline ?? 0) * 1000, close };
  const r = await clients.failover.any("Drain", request);
  const look = async (): Promise<PoolFlows> => {
    // The order is taken, whatever becomes of the question after its flows.
    const said = await askPools(clients, vip).catch((e: Error) => e);
    if (said instanceof Error) return { flows: 0, unknown: said.message.replaceAll("\n", "; ") };
    const { pools, silent } = said;
    return poolFlows(pools, silent.length).get(address) ?? { flows: 0, unknown: "nobody knows the server any more" };
  };
  let now = await look();
  const show = (): void => output(o.json, { ...r, ...now }, () => `${address} drains${byWhen(r.hold)}; ${inWords(now)}`);
  show();
  if (!o.wait) return;
  for (let shown = inWords(now); now.flows > 0 || now.unknown !== ""; ) {
    if (Date.now() >= ends) {
      process.stderr.write(`the deadline is over: ${inWords(now)}\n`);
      process.exitCode = 1;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    now = await look();
    if (inWords(now) === shown) continue;
    shown = inWords(now);
    show();
  }
}

/** " until 2026-11-28T19:08:16Z, then closed"; empty: without a deadline. */
export function byWhen(hold: Hold__Output | null): string {
  const at = Number(hold?.deadline_unix_ms ?? 0);
  if (at === 0) return "";
  return ` until ${new Date(at).toISOString().replace(/\.\d+Z$/, "Z")}${hold?.close ? ", then closed" : ""}`;
}

const inWords = ({ flows, unknown }: PoolFlows): string =>
  `${flows} flows in progress${unknown === "" ? "" : `, and perhaps more: ${unknown}`}`;
