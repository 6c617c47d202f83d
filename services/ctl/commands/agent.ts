// SPDX-License-Identifier: Apache-2.0
// What the agent knows: status, statistics, weights.
import type { Command } from "commander";
import { wireLadder, wireMode, wireVipState } from "../../common/vocabulary.js";
import { ask } from "../client.js";
import { columns, output } from "../print.js";
import { findVip, withClients } from "../target.js";
import { number } from "../up/options.js";
import { plainLine, table } from "../up/table.js";
import { type Common, common, weightArguments } from "./common.js";

const plain = { demo: new Map(), notes: [], colour: false };

export function register(program: Command): void {
  status(program);
  stats(program);
  weightCommands(program);
}

function status(program: Command): void {
  common(program.command("status").description("the agent, its VIPs and its peers")).action((o: Common) =>
    withClients(o, async ({ agent }) => {
      const s = await ask(agent, "GetStatus", {});
      output(o.json, s, () => {
        const region = s.attached ? `attached to ${s.region} (${s.dataplane})` : `waiting for ${s.region}`;
        const vips = s.vips.map((v) => {
          const weights = `${v.source || "-"}, ${wireLadder.word(v.ladder)}`;
          const strategy = `${v.policy || "-"}+${wireMode.word(v.mode)}`;
          const state = wireVipState.word(v.state);
          return [
            v.vip_id,
            v.name,
            v.address,
            strategy,
            weights,
            state,
            v.servers,
            v.published,
            v.refused,
            v.effect_ms.toFixed(2),
          ];
        });
        const peers = s.peers.map((p) => [p.name, p.address, p.state, p.answered, p.unanswered, p.reconnects]);
        return [
          `instance ${s.instance}, ${region}`,
          columns(
            ["id", "VIP", "address", "strategy", "weights by", "state", "servers", "published", "refused", "effect ms"],
            vips,
          ),
          columns(["peer", "address", "state", "answered", "unanswered", "reconnects"], peers),
        ].join("\n\n");
      });
    }),
  );
}

function stats(program: Command): void {
  common(program.command("stats").description("statistics of one VIP's servers"))
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .option("--watch", "a line each interval until Ctrl-C", false)
    .option("--every <ms>", "interval", number(10, 3_600_000), 1000)
    .action((o: Common & { vip?: string; watch: boolean; every: number }) =>
      withClients(o, async (clients) => {
        const vip = await findVip(clients, o.vip);
        const stream = clients.agent.StreamStats({ vip_id: vip.vip_id, every_ms: o.every });
        const started = performance.now();
        await new Promise<void>((resolve, reject) => {
          process.once("SIGINT", () => stream.cancel());
          stream.on("data", (s) => {
            if (o.json) process.stdout.write(`${JSON.stringify(s)}\n`);
            else if (o.watch) process.stdout.write(`${plainLine(s, plain, (performance.now() - started) / 1000)}\n`);
            else process.stdout.write(`${table(s, plain).join("\n")}\n`);
            if (!o.watch) stream.cancel();
          });
          stream.on("error", (e: Error & { code?: number }) => (e.code === 1 ? resolve() : reject(e)));
          stream.on("end", () => resolve());
        });
      }),
    );
}

function weightCommands(program: Command): void {
  const weights = common(
    program.command("weights").enablePositionalOptions().description("weights in effect; `weights push` sets them for a while"),
  )
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .action((o: Common & { vip?: string }) =>
      withClients(o, async (clients) => {
        const { vip_id } = await findVip(clients, o.vip);
        const w = await ask(clients.agent, "GetWeights", { vip_id });
        output(o.json, w, () =>
          [
            `generation ${w.generation}, sequence ${w.seq}, ${w.policy || "no policy yet"}, ${wireLadder.word(w.ladder)}`,
            columns(
              ["id", "server", "weight", "bias"],
              w.weights.map((x) => [x.server_id, x.address, x.weight.toFixed(4), x.bias.toFixed(2)]),
            ),
          ].join("\n"),
        );
      }),
    );
  common(
    weights
      .command("push <address=weight...>")
      .description("make this the source of a VIP's weights for a while (through the envelope)"),
  )
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .option("--hold <ms>", "for so long", number(1, 3_600_000), 10_000)
    .action((list: string[], o: Common & { vip?: string; hold: number }) =>
      withClients(o, async (clients) => {
        const { vip_id } = await findVip(clients, o.vip);
        const entries = weightArguments(list);
        const r = await ask(clients.agent, "PushWeights", { vip_id, weights: entries, hold_ms: o.hold });
        const rows = r.composed.map((x) => [x.address || x.server_id, x.weight.toFixed(4)]);
        output(o.json, r, () => `sequence ${r.seq}; shares after the envelope:\n${columns(["server", "share"], rows)}`);
      }),
    );
}
