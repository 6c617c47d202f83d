// SPDX-License-Identifier: Apache-2.0
// A policy on trial: beside the one in force, against it, and over what was kept.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { StreamStatsResponse__Output as Stats } from "../../../gen/marllb/v1/StreamStatsResponse.js";
import { NODE_ARGS } from "../../common/node-args.js";
import { programFile } from "../../common/root.js";
import type { Clients } from "../client.js";
import { number } from "../flags.js";
import { output } from "../print.js";
import { type Asked, answersOf } from "../replicas.js";
import { type FoundVip, findVip, type LoadBalancer, type TargetFlags, withClients } from "../target.js";
import { experimentText, type TrustNow, trustOf, trustText } from "../trust-text.js";
import { LaunchError } from "../up/error.js";
import { type Common, common, poolWide } from "./common.js";

type VipFlag = Common & { vip?: string };

/** Every replica of inference has heard of it by then. */
const AHEAD_MS = 1000;
const MIN_BLOCK_MS = 10_000;
const BLOCK_FLOWS = 5;
/** Statistics come ten times a second, from a data plane that serves. */
const STATS_MS = 5000;

const withVip = (c: Command): Command => c.option("--vip <name>", "VIP by name or number (default: the only one)");
const vipOption = (c: Command): Command => withVip(common(c));
const orderOf = (c: Command): Command => withVip(poolWide(c));

/** Of every replica: what one was not told, it would not do when its turn comes. */
function all<T>(asked: readonly Asked<T>[]): T[] {
  const errors = asked.flatMap((a) => ("error" in a ? [a.error.message] : []));
  if (errors.length > 0) throw new LaunchError([...new Set(errors)].join("\n"));
  return answersOf(asked);
}

const trustAt = async (clients: Clients, vip: string): Promise<TrustNow> =>
  trustOf(answersOf(await clients.inference.each("GetTrust", { vip })));

export function register(program: Command): void {
  const trust = program.command("trust").enablePositionalOptions();
  vipOption(
    trust.description("how shadow, experiment and guardrail of a VIP stand; `trust resume` ends a step of the guardrail"),
  ).action((o: VipFlag) =>
    withClients(o, async (clients) => {
      const t = await trustAt(clients, (await findVip(clients, o)).name);
      output(o.json, t, () => trustText(t));
    }),
  );
  vipOption(
    trust.command("resume").description("the policy that the guardrail took away, or tries, decides again before its time"),
  )
    .option("--reason <text>", "why; kept with the step", "")
    .action((o: VipFlag & { reason: string }) =>
      withClients(o, async (clients) => {
        const { name } = await findVip(clients, o);
        const all = answersOf(await clients.inference.each("ResumePolicy", { vip: name, reason: o.reason }));
        const resumed = all.some((r) => r.resumed);
        output(o.json, { resumed }, () => (resumed ? "the policy decides again" : "it was neither down nor suspected"));
      }),
    );
  shadowCommands(program);
  experimentCommands(program);
  replayCommand(program);
}

function shadowCommands(program: Command): void {
  const shadow = program.command("shadow").description("a policy that decides beside the one in force, and is never applied");
  const set = (policy: string, o: VipFlag) =>
    withClients(o, async (clients) => {
      const { name } = await findVip(clients, o);
      const [r] = all(await clients.inference.each("SetShadow", { vip: name, policy }));
      output(o.json, r, () => `${policy === "" ? "no shadow any more" : `${policy} goes along`} (was ${r?.previous || "none"})`);
    });
  orderOf(
    shadow.command("set").description("lets it go along; marllbctl trust and the console show it").argument("<policy>"),
  ).action(set);
  orderOf(shadow.command("clear").description("ends it")).action((o: VipFlag) => set("", o));
}

interface StartFlags extends VipFlag {
  candidate: string;
  baseline: string;
  share: number;
  deadline: number;
  block?: number;
  reason: string;
}

function experimentCommands(program: Command): void {
  const experiment = program.command("experiment").description("one policy against another on the traffic that there is");
  orderOf(experiment.command("start").description("switches between the two until it is decided"))
    .requiredOption("--candidate <policy>", "the one on trial")
    .option("--baseline <policy>", "what it is compared with", "kalman")
    .option("--share <n>", "of the time, to the candidate", number(0.05, 0.95), 0.5)
    .option("--deadline <s>", "ends then, decided or not", number(60, 2_592_000), 86_400)
    .option(
      "--block <s>",
      "how long one of them rules at a time (default: 10, or five times as long as 99 % of the flows last)",
      number(MIN_BLOCK_MS / 1000, 3600),
    )
    .option("--reason <text>", "why; kept with the result", "")
    .action((o: StartFlags) => withClients(o, (clients) => start(clients, o)));
  vipOption(experiment.command("status").description("what it says so far, or said")).action((o: VipFlag) =>
    withClients(o, async (clients) => {
      const { experiment: e } = await trustAt(clients, (await findVip(clients, o)).name);
      if (!e) throw new LaunchError("no experiment was started; marllbctl experiment start");
      output(o.json, e, () => experimentText(e));
    }),
  );
  orderOf(experiment.command("stop").description("ends it undecided; the ordered policy decides again"))
    .option("--reason <text>", "why; kept with the result", "")
    .action((o: VipFlag & { reason: string }) =>
      withClients(o, async (clients) => {
        const { name } = await findVip(clients, o);
        // One that is away learns of it from the others.
        const [r] = answersOf(await clients.inference.each("StopExperiment", { vip: name, reason: o.reason }));
        output(o.json, r, () => (r.experiment ? experimentText(r.experiment) : ""));
      }),
    );
}

async function start(clients: Clients, o: StartFlags): Promise<void> {
  const vip = await findVip(clients, o);
  if (o.candidate === o.baseline) throw new InvalidArgumentError("--candidate and --baseline: expected two policies.");
  const block_ms = o.block === undefined ? await blockOf(vip.at) : Math.round(o.block * 1000);
  const now = Date.now();
  const started_at_unix_ms = now + AHEAD_MS;
  const request = {
    id: new Date(now).toISOString().replace(/[-:]/g, "").slice(0, 15),
    vip: vip.name,
    candidate: o.candidate,
    baseline: o.baseline,
    share: o.share,
    started_at_unix_ms,
    block_ms,
    seed: randomInt(2 ** 32),
    deadline_unix_ms: started_at_unix_ms + Math.round(o.deadline * 1000),
    reason: o.reason,
  };
  const [r] = all(await clients.inference.each("StartExperiment", request));
  output(
    o.json,
    { ...r, block_ms },
    () => `experiment ${r?.id} runs in blocks of ${block_ms / 1000} s; marllbctl experiment status`,
  );
}

/** Flows of one block must not be the next one's: a block is five times as long as most flows last, at whichever load balancer. */
async function blockOf(at: FoundVip["at"]): Promise<number> {
  const longest = await Promise.all(at.map(({ lb, vip }) => longestFlowMs(lb, vip.vip_id)));
  return Math.max(MIN_BLOCK_MS, Math.round(BLOCK_FLOWS * Math.max(...longest)));
}

/** 0 where nothing is known. */
function longestFlowMs({ agent }: LoadBalancer, vip_id: number): Promise<number> {
  return new Promise((resolve) => {
    const stream = agent.client.StreamStats({ vip_id, every_ms: 100 }, { deadline: Date.now() + STATS_MS });
    stream.on("data", ({ servers }: Stats) => {
      // The mean and three deviations are beyond 99 % of most distributions that flows have.
      resolve(Math.max(0, ...servers.map(({ duration: d }) => (d ? d.mean_ms + 3 * d.std_ms : 0))));
      stream.cancel();
    });
    stream.on("error", () => resolve(0)).on("end", () => resolve(0));
  });
}

function replayCommand(program: Command): void {
  program
    .command("replay")
    .description("what was seen and decided, from decision logs: decided anew, and by another policy")
    .argument("<file...>", "oldest first")
    .option("--policy <name>", "what this one would have decided")
    .option("--models <folder>", "where models are", "models")
    .option("--json", "the answer as JSON", false)
    .action(async (files: string[], o: { policy?: string; models: string; json: boolean }) => {
      const args = [...(o.policy === undefined ? [] : ["--policy", o.policy]), "--models", o.models, ...files];
      const r = (await replayed(args)) as {
        ticks: number;
        compared: number;
        same: number;
        distance: number;
        from: number;
        to: number;
      };
      output(o.json, r, () =>
        [
          `${r.ticks} ticks from ${new Date(r.from).toISOString()} to ${new Date(r.to).toISOString()}`,
          `${r.same} of ${r.compared} decided the same again`,
          ...(o.policy === undefined
            ? []
            : [`${o.policy} would have sent ${(100 * r.distance).toFixed(1)} % of the new flows elsewhere`]),
        ].join("\n"),
      );
    });
}

/** An explanation of what was decided then, from the logs that this host's inference keeps. */
export async function explainedAt(flags: TargetFlags, lb: string, vip: string, at: Date): Promise<unknown> {
  const [{ targetConfig }, { stateFolder }] = await Promise.all([import("../own-config.js"), import("../../common/run.js")]);
  const config = targetConfig(flags);
  const folder = path.resolve(stateFolder(config.instance, process.env), config.inference.decisions.folder);
  if (!existsSync(folder)) throw new LaunchError(`no decisions are kept here (looked in ${folder}); run it where inference runs`);
  return replayed([
    "--models",
    config.inference.models,
    "--folder",
    folder,
    "--name",
    `${lb}-${vip}`,
    "--at",
    String(at.getTime()),
  ]);
}

/** In a process of its own: decisions are made by inference's code, which marllbctl does not load. */
function replayed(args: readonly string[]): Promise<unknown> {
  const main = programFile("replay");
  const child = spawn(process.execPath, [...NODE_ARGS, main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (d: string) => (out += d));
  child.stderr.setEncoding("utf8").on("data", (d: string) => (err += d));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(out));
      else reject(new LaunchError(err.trim() || `replay ended with code ${code}`));
    });
  });
}
