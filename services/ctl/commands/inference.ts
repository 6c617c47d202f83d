// SPDX-License-Identifier: Apache-2.0
// Who sets the weights, and why they are what they are.
import { type Command, InvalidArgumentError } from "commander";
import type { ExplainResponse__Output } from "../../../gen/marllb/v1/ExplainResponse.js";
import type { Clients } from "../client.js";
import { columns, output } from "../print.js";
import { type Asked, answersOf } from "../replicas.js";
import { findVip, withClients } from "../target.js";
import { type GuardrailOf, guardrailLine, TURNS, trustOf } from "../trust-text.js";
import { LaunchError } from "../up/error.js";
import { type Common, common, poolWide } from "./common.js";
import { explainedAt } from "./trust.js";

type VipFlag = Common & { vip?: string };

/** An inference replica knows the load balancers whose agents' streams it has: each is asked, the one that knows answers. */
async function whoKnows<T>(asking: Promise<Asked<T>[]>): Promise<T> {
  return answersOf(await asking)[0];
}

function moment(text: string): Date {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError("expected a time, such as 2026-01-31T12:00:00Z.");
  if (at.getTime() > Date.now()) throw new InvalidArgumentError(`expected a time that is over, found ${at.toISOString()}.`);
  return at;
}

export function register(program: Command): void {
  policyCommands(program);
  common(
    program.command("explain").description("what the policy saw of each server in its last step, and why it gave what it gave"),
  )
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .option("--at <time>", "of that moment, from the decision log of this host: 2026-01-31T12:00:00Z", moment)
    .action((o: VipFlag & { at?: Date }) =>
      withClients(o, async (clients) => {
        const { at, name } = await findVip(clients, o);
        const all = await Promise.all(
          at.map(async ({ lb, vip: { vip_id } }) => {
            const { instance } = lb.status;
            const explained = o.at
              ? ((await explainedAt(o, instance, name, o.at)) as ExplainResponse__Output)
              : await whoKnows(clients.inference.each("Explain", { instance, vip_id }));
            return { instance, ...explained };
          }),
        );
        output(o.json, all.length === 1 ? all[0] : all, () => all.map((r) => `${r.instance}: ${explainText(r)}`).join("\n\n"));
      }),
    );
}

/** `at_unix_ms`: of the decision log, the tick that was in force then. */
function explainText(r: ExplainResponse__Output & { at_unix_ms?: number }): string {
  const titles = ["server", "weight", "bias", "kalman", "reason"];
  const rows = r.servers.map((s) => [s.address, s.weight.toFixed(4), s.bias.toFixed(2), s.kalman.toFixed(4), s.reason]);
  const features = r.servers.map((s) => [s.address, ...s.features.map((f) => f.toFixed(3))]);
  const pool = r.pool_feature_names.map((n, i) => `${n} ${(r.pool_features[i] ?? Number.NaN).toFixed(3)}`).join(", ");
  return [
    `${r.at_unix_ms === undefined ? "" : `${new Date(r.at_unix_ms).toISOString()}: `}${r.policy}, frame ${r.frame_seq}, ${(100 * r.out_of_range).toFixed(1)} % of the features out of the trained range`,
    columns(titles, rows),
    columns(["server", ...r.feature_names], features),
    `pool: ${pool}`,
  ].join("\n\n");
}

/** Orders a policy. An experiment would decide in its place: it ends, of the policy that is in force already too. */
async function order(clients: Clients, r: { vip_id: number; name: string; policy: string; reason: string }) {
  const done = await clients.failover.any("SetPolicy", r);
  const reason = `policy ${r.policy || "as configured"} was ordered${r.reason === "" ? "" : `: ${r.reason}`}`;
  const stopped = await clients.inference.each("StopExperiment", { vip: r.name, reason }).catch(() => []);
  const [first] = stopped.flatMap((a) => ("answer" in a && a.answer.experiment ? [a.answer.experiment.id] : []));
  return { ...done, ended: first ?? "", guardrail_down: (await guardrailsOf(clients, r.name)).some((g) => g.state === "down") };
}

/** Of every replica that answers. */
const guardrailsOf = async (clients: Clients, vip: string): Promise<GuardrailOf[]> => {
  const asked = await clients.inference.each("GetTrust", { vip }).catch(() => []);
  return trustOf(asked.flatMap((a) => ("answer" in a ? [a.answer] : []))).guardrails;
};

/** What else decides, or did. */
const beside = (r: { ended: string; guardrail_down: boolean }): string =>
  [
    r.ended === "" ? "" : `; experiment ${r.ended} is over`,
    r.guardrail_down ? "; the guardrail keeps learned policies down: marllbctl trust resume ends that" : "",
  ].join("");

function policyText(r: { instance: string; policy: string; wanted: string; turn_of: string }, several: boolean): string {
  const why = TURNS[r.turn_of];
  return `${several ? `${r.instance}: ` : ""}${r.policy}${why ? ` in place of ${r.wanted}: ${why}` : ""}`;
}

function policyCommands(program: Command): void {
  const policy = program.command("policy").description("the policy that sets a VIP's weights");
  common(policy.command("get").description("the one in force"))
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .action((o: VipFlag) =>
      withClients(o, async (clients) => {
        const { at, name } = await findVip(clients, o);
        const all = await Promise.all(
          at.map(({ lb, vip: { vip_id } }) =>
            whoKnows(clients.inference.each("GetPolicy", { instance: lb.status.instance, vip_id })),
          ),
        );
        const guardrails = (await guardrailsOf(clients, name)).map(guardrailLine).filter((line) => line !== "");
        output(o.json, all.length === 1 ? all[0] : all, () =>
          [...all.map((r) => policyText(r, all.length > 1)), ...guardrails].join("\n"),
        );
      }),
    );
  const reasoned = (c: Command): Command =>
    poolWide(c)
      .option("--vip <name>", "VIP by name or number (default: the only one)")
      .option("--reason <text>", "why; kept in the history", "");
  reasoned(
    policy
      .command("set")
      .description("chooses another at all load balancers of the VIP's pool, until the next set or clear")
      .argument("<name>"),
  ).action((policy: string, o: VipFlag & { reason: string }) =>
    withClients(o, async (clients) => {
      const { vip_id, name } = await findVip(clients, o);
      const { models } = await clients.inference.any("ListModels", {});
      const usable = models.filter((m) => m.usable).map((m) => m.name);
      if (!usable.includes(policy.replace(/^model:/, "")))
        throw new LaunchError(`no usable policy "${policy}"; there are ${usable.join(", ")} (marllbctl policy list says why)`);
      const r = await order(clients, { vip_id, name, policy, reason: o.reason });
      output(o.json, r, () => `${r.policy} (was ${r.previous || "as configured"}), term ${r.term}${beside(r)}`);
    }),
  );
  reasoned(policy.command("clear").description("the configured one again")).action((o: VipFlag & { reason: string }) =>
    withClients(o, async (clients) => {
      const { vip_id, name } = await findVip(clients, o);
      const r = await order(clients, { vip_id, name, policy: "", reason: o.reason });
      output(o.json, r, () => `as configured (was ${r.previous || "as configured"}), term ${r.term}${beside(r)}`);
    }),
  );
  reasoned(
    policy
      .command("rollback")
      .description("the policy that was ordered before the one now, from the history; again: the one before that"),
  ).action((o: VipFlag & { reason: string }) =>
    withClients(o, async (clients) => {
      const { vip_id, name } = await findVip(clients, o);
      const { changes } = await clients.failover.any("History", { vip_id, name, limit: 0 });
      const before = policyBefore(changes.map((c) => c.what));
      if (before === undefined) throw new LaunchError(`nothing to go back to: no other policy was ordered of ${name}`);
      const r = await order(clients, { vip_id, name, policy: before, reason: o.reason || ROLLBACK });
      output(
        o.json,
        r,
        () => `${r.policy || "as configured"} (was ${r.previous || "as configured"}), term ${r.term}${beside(r)}`,
      );
    }),
  );
  common(policy.command("list").description("what is there")).action((o: Common) =>
    withClients(o, async ({ inference }) => {
      const r = await inference.any("ListModels", {});
      output(o.json, r, () =>
        columns(
          ["policy", "kind", "usable", "step ms", "model", "note"],
          r.models.map((m) => [m.name, m.kind, m.usable ? "yes" : "no", m.native_step_ms, m.hash, m.note]),
        ),
      );
    }),
  );
}

const CONFIGURED = "as configured";
const ROLLBACK = "rollback";

/**
 * What ruled before the newest policy order, as failover says orders (services/failover/operations.ts); each rollback takes one more order
 * back. undefined: there was none. Newest first.
 */
export function policyBefore(history: readonly (readonly string[])[]): string | undefined {
  const steps = history.flat().flatMap((what) => {
    const [, from, to] = /^policy (.+) -> (.+)$/.exec(what) ?? [];
    return from !== undefined && to !== undefined ? [{ from, to }] : [];
  });
  // Orders that go back are taken off again with what they took back.
  const stack: string[] = [];
  for (const { from, to } of steps.reverse()) {
    if (stack.length === 0) stack.push(from);
    if (stack.at(-2) === to) stack.pop();
    else stack.push(to);
  }
  const before = stack.at(-2);
  return before === CONFIGURED ? "" : before;
}
