// SPDX-License-Identifier: Apache-2.0
// What the agent knows: status, statistics, weights.
import { type ServiceError, status } from "@grpc/grpc-js";
import type { Command } from "commander";
import type { CountsStatus__Output } from "../../../gen/marllb/v1/CountsStatus.js";
import { wireLadder, wireMode, wireVipState } from "../../common/vocabulary.js";
import type { Clients } from "../client.js";
import { number } from "../flags.js";
import { columns, output } from "../print.js";
import { findVip, type LoadBalancer, loadBalancers, withClients } from "../target.js";
import { TURNS } from "../trust-text.js";
import { plainLine, table } from "../up/table.js";
import { type Common, common, weightArguments } from "./common.js";

const plain = { demo: new Map(), notes: [], colour: false };

export function register(program: Command): void {
  statusCommand(program);
  stats(program);
  weightCommands(program);
}

function statusCommand(program: Command): void {
  common(program.command("status").description("the agents, their VIPs and their peers")).action((o: Common) =>
    withClients(o, async (clients) => {
      const lbs = await loadBalancers(clients, o);
      const all = lbs.map((lb) => lb.status);
      output(o.json, all.length === 1 ? all[0] : all, () => lbs.map(statusText).join("\n\n"));
    }),
  );
}

function statusText({ status: s, agent }: LoadBalancer): string {
  const region = s.attached
    ? `attached to ${s.region} (${s.dataplane})`
    : `not attached: ${s.why_not || `waiting for ${s.region}`}`;
  const vips = s.vips.map((v) => {
    const weights = `${v.source || "-"}, ${wireLadder.word(v.ladder)}`;
    const strategy = `${v.policy || "-"}+${wireMode.word(v.mode)}`;
    const state = wireVipState.word(v.state);
    const effect = v.effect_ms.toFixed(2);
    return [v.vip_id, v.name, v.address, strategy, weights, state, v.servers, v.published, v.refused, effect];
  });
  const peers = s.peers.map((p) => [p.name, p.address, p.state, p.answered, p.unanswered, p.reconnects]);
  return [
    `instance ${s.instance} at ${agent.address}, ${region}`,
    columns(["id", "VIP", "address", "strategy", "weights by", "state", "servers", "published", "refused", "effect ms"], vips),
    ...s.vips.flatMap((v) => {
      const why = v.source === "inference" ? TURNS[v.turn_of] : undefined;
      return why ? [`${v.name}: ${v.policy} decides, for ${why}; marllbctl trust --vip ${v.name}`] : [];
    }),
    columns(["peer", "address", "state", "answered", "unanswered", "reconnects"], peers),
    ...s.peers.filter((p) => p.why !== "").map((p) => `${p.name} at ${p.address}: ${p.why}`),
    ...(s.counts ? [countsText(s.counts)] : []),
  ].join("\n\n");
}

function countsText(c: CountsStatus__Output): string {
  const away = c.attached ? "" : `; ${c.why_not}`;
  const refused = c.refused.map((r) => `${r.datagrams} ${r.reason}`).join(", ");
  const head = `counts are shared at ${c.address} with ${c.members} member${c.members === 1 ? "" : "s"}${away}${refused ? `; refused: ${refused}` : ""}`;
  if (c.peers.length === 0) return `${head}; nobody is heard`;
  const rows = c.peers.map((p) => {
    const lost = (100 * Number(p.lost)) / Math.max(1, Number(p.heard) + Number(p.lost));
    return [
      p.instance,
      p.address,
      p.fresh ? "fresh" : "silent",
      `${p.shared} of ${p.servers}`,
      lost.toFixed(2),
      p.delay_ms.toFixed(2),
      p.age_ms.toFixed(0),
    ];
  });
  return `${head}\n${columns(["load balancer", "address", "counts", "servers shared", "lost %", "delay ms", "age ms"], rows)}`;
}

type StatsFlags = Common & { vip?: string; watch: boolean; wide: boolean; every: number };

function stats(program: Command): void {
  common(program.command("stats").description("statistics of one VIP's servers, of each load balancer"))
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .option("--watch", "a line each interval until Ctrl-C", false)
    .option("--wide", "failed connects, and flows that ended early, as well", false)
    .option("--every <ms>", "interval", number(10, 3_600_000), 1000)
    .action((o: StatsFlags) =>
      withClients(o, async (clients) => {
        const { at } = await findVip(clients, o);
        await Promise.all(at.map(({ lb, vip }) => showStats(o, clients, lb, vip.vip_id, at.length > 1)));
      }),
    );
}

/** One load balancer's statistics, once or until Ctrl-C; with several, each line says whose it is. */
function showStats(
  o: StatsFlags,
  { agents }: Clients,
  { agent, status: { instance } }: LoadBalancer,
  vip_id: number,
  several: boolean,
): Promise<void> {
  const stream = agent.client.StreamStats({ vip_id, every_ms: o.every });
  const started = performance.now();
  return new Promise<void>((resolve, reject) => {
    process.once("SIGINT", () => stream.cancel());
    stream.on("data", (s) => {
      const head = several ? `${instance}: ` : "";
      if (o.json) process.stdout.write(`${JSON.stringify(several ? { instance, ...s } : s)}\n`);
      else if (o.watch) process.stdout.write(`${head}${plainLine(s, plain, (performance.now() - started) / 1000)}\n`);
      else process.stdout.write(`${several ? `${instance}\n` : ""}${table(s, { ...plain, wide: o.wide }).join("\n")}\n`);
      if (!o.watch) stream.cancel();
    });
    stream.on("error", (e: ServiceError) =>
      e.code === status.CANCELLED ? resolve() : void agents.failure(agent, e).then(reject),
    );
    stream.on("end", () => resolve());
  });
}

function weightCommands(program: Command): void {
  const weights = common(
    program.command("weights").enablePositionalOptions().description("weights in effect; `weights push` sets them for a while"),
  )
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .action((o: Common & { vip?: string }) =>
      withClients(o, async (clients) => {
        const { at } = await findVip(clients, o);
        const all = await Promise.all(
          at.map(async ({ lb, vip: { vip_id, source } }) => ({
            instance: lb.status.instance,
            source,
            ...(await clients.agents.one(lb.agent, "GetWeights", { vip_id })),
          })),
        );
        output(o.json, all.length === 1 ? all[0] : all, () =>
          all
            .map((w) =>
              [
                `${w.instance}: generation ${w.generation}, sequence ${w.seq}, by ${w.source || "nobody yet"} (${w.policy || "no policy yet"}), ${wireLadder.word(w.ladder)}`,
                columns(
                  ["id", "server", "weight", "bias"],
                  w.weights.map((x) => [x.server_id, x.address, x.weight.toFixed(4), x.bias.toFixed(2)]),
                ),
              ].join("\n"),
            )
            .join("\n\n"),
        );
      }),
    );
  common(
    weights
      .command("push <address=weight...>")
      .description("make this the source of a VIP's weights for a while (through the envelope), at each load balancer"),
  )
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .option("--hold <ms>", "for so long", number(1, 3_600_000), 10_000)
    .action((list: string[], o: Common & { vip?: string; hold: number }) =>
      withClients(o, async (clients) => {
        const { at } = await findVip(clients, o);
        const entries = weightArguments(list);
        const all = await Promise.all(
          at.map(async ({ lb, vip: { vip_id } }) => ({
            instance: lb.status.instance,
            ...(await clients.agents.one(lb.agent, "PushWeights", { vip_id, weights: entries, hold_ms: o.hold })),
          })),
        );
        output(o.json, all.length === 1 ? all[0] : all, () =>
          all
            .map((r) => {
              const rows = r.composed.map((x) => [x.address || x.server_id, x.weight.toFixed(4)]);
              return `${r.instance}: sequence ${r.seq}; shares after the envelope:\n${columns(["server", "share"], rows)}`;
            })
            .join("\n\n"),
        );
      }),
    );
}
