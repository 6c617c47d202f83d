// SPDX-License-Identifier: Apache-2.0
// Who sets the weights, and why they are what they are.
import type { Command } from "commander";
import { ask } from "../client.js";
import { columns, output } from "../print.js";
import { findVip, withClients } from "../target.js";
import { type Common, common } from "./common.js";

type VipFlag = Common & { vip?: string };

export function register(program: Command): void {
  const policy = program.command("policy").description("the policy that sets a VIP's weights");
  common(policy.command("get").description("the one in force"))
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .action((o: VipFlag) =>
      withClients(o, async (clients) => {
        const { vip_id } = await findVip(clients, o.vip);
        const r = await ask(clients.inference, "GetPolicy", { vip_id });
        output(o.json, r, () => r.policy);
      }),
    );
  common(policy.command("set").description("chooses another, which survives restarts").argument("<name>"))
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .action((name: string, o: VipFlag) =>
      withClients(o, async (clients) => {
        const { vip_id } = await findVip(clients, o.vip);
        const r = await ask(clients.inference, "SetPolicy", { vip_id, policy: name });
        output(o.json, r, () => `${r.policy} (was ${r.previous})`);
      }),
    );
  common(policy.command("list").description("what is there")).action((o: Common) =>
    withClients(o, async ({ inference }) => {
      const r = await ask(inference, "ListModels", {});
      output(o.json, r, () =>
        columns(
          ["policy", "kind", "usable", "step ms", "note"],
          r.models.map((m) => [m.name, m.kind, m.usable ? "yes" : "no", m.native_step_ms, m.note]),
        ),
      );
    }),
  );

  common(
    program.command("explain").description("what the policy saw of each server in its last step, and why it gave what it gave"),
  )
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .action((o: VipFlag) =>
      withClients(o, async (clients) => {
        const { vip_id } = await findVip(clients, o.vip);
        const r = await ask(clients.inference, "Explain", { vip_id });
        output(o.json, r, () => {
          const titles = ["server", "weight", "bias", "kalman", "reason"];
          const rows = r.servers.map((s) => [s.address, s.weight.toFixed(4), s.bias.toFixed(2), s.kalman.toFixed(4), s.reason]);
          const features = r.servers.map((s) => [s.address, ...s.features.map((f) => f.toFixed(3))]);
          const pool = r.pool_feature_names.map((n, i) => `${n} ${(r.pool_features[i] ?? Number.NaN).toFixed(3)}`).join(", ");
          return [
            `${r.policy}, frame ${r.frame_seq}, ${(100 * r.out_of_range).toFixed(1)} % of the features out of the trained range`,
            columns(titles, rows),
            columns(["server", ...r.feature_names], features),
            `pool: ${pool}`,
          ].join("\n\n");
        });
      }),
    );
}
