// SPDX-License-Identifier: Apache-2.0
// What goes on, until Ctrl-C: the live table (top), any command again and again (watch), and each change as a line (events).
import { execFile } from "node:child_process";
import type { Command } from "commander";
import type { StreamStatsResponse__Output as Stats } from "../../../gen/marllb/v1/StreamStatsResponse.js";
import type { WatchResponse__Output } from "../../../gen/marllb/v1/WatchResponse.js";
import { follow } from "../../common/grpc/ask.js";
import { NODE_ARGS } from "../../common/node-args.js";
import { GuardrailChanges, type Happening, happeningText, OrderChanges, statsChanges, VerdictChanges } from "../changes.js";
import type { Clients } from "../client.js";
import { number } from "../flags.js";
import { loadBalancers, withClients } from "../target.js";
import { Screen } from "../up/screen.js";
import { plainLine, table } from "../up/table.js";
import { type Common, common } from "./common.js";

interface Live {
  every: number;
  duration?: number;
}

const live = (c: Command, every: number): Command =>
  c
    .option("--every <ms>", "interval", number(100, 3_600_000), every)
    .option("--duration <s>", "end by itself after so long (default: at Ctrl-C)", number(0, 1e9));

/** Until Ctrl-C, SIGTERM or the end of the time. */
function untilStopped({ duration }: Live): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGINT", () => resolve()).once("SIGTERM", () => resolve());
    if (duration !== undefined) setTimeout(() => resolve(), duration * 1000);
  });
}

type Flags = Common & Live & { vip?: string };

export function register(program: Command): void {
  live(common(program.command("top").description("the load balancers' live table; plain lines where it is no terminal")), 500)
    .option("--vip <name>", "only this VIP, by name")
    .action((o: Flags) => withClients(o, (clients) => top(clients, o)));
  live(
    common(
      program
        .command("events")
        .description(
          "each change as a line: verdicts, states, policy and why, ladder, orders, the guardrail's steps; with --json a JSON object a line",
        ),
    ),
    1000,
  ).action((o: Flags) => withClients(o, (clients) => events(clients, o)));
  live(
    program
      .command("watch")
      .description("any command of this program, again and again: marllbctl watch servers --vip web")
      .argument("<command...>", "the command and its flags")
      .passThroughOptions(),
    2000,
  ).action((words: string[], o: Live) => watch(words, o));
}

/** Follows the statistics of every load balancer that answers now; returns how to stop. */
async function followAll(
  clients: Clients,
  o: Flags,
  every_ms: number,
  hear: (lb: string, s: Stats) => void,
): Promise<() => void> {
  const lbs = await loadBalancers(clients, o);
  const stops = lbs.map(({ agent, status }) =>
    follow(
      () => agent.client.StreamStats({ every_ms }),
      (s) => {
        if (o.vip === undefined || s.vip?.name === o.vip) hear(status.instance, s);
      },
    ),
  );
  return () => {
    for (const stop of stops) stop();
  };
}

async function top(clients: Clients, o: Flags): Promise<void> {
  const out = process.stdout;
  const screen = out.isTTY === true && !o.json ? new Screen(out) : null;
  const extra = { demo: new Map(), notes: [], colour: screen !== null && out.hasColors?.() === true };
  const newest = new Map<string, { lb: string; s: Stats }>();
  const began = performance.now();
  const draw = (): void => {
    const names = new Set([...newest.values()].map((x) => x.lb));
    screen?.draw([...newest.values()].flatMap(({ lb, s }) => ["", ...(names.size > 1 ? [lb] : []), ...table(s, extra)]));
  };
  const stop = await followAll(clients, o, o.every, (lb, s) => {
    newest.set(`${lb}/${s.vip?.vip_id}`, { lb, s });
    if (o.json) out.write(`${JSON.stringify({ instance: lb, ...s })}\n`);
    else if (screen) draw();
    else out.write(`${lb}: ${plainLine(s, extra, (performance.now() - began) / 1000)}\n`);
  });
  await untilStopped(o);
  stop();
  screen?.close();
}

async function events(clients: Clients, o: Flags): Promise<void> {
  const say = (all: readonly Happening[]): void => {
    for (const h of all) {
      const time = new Date().toISOString();
      process.stdout.write(o.json ? `${JSON.stringify({ time, ...h })}\n` : `${time}  ${happeningText(h)}\n`);
    }
  };
  const before = new Map<string, Stats>();
  const pools = new Map<string, PoolChanges>();
  const stopStats = await followAll(clients, o, Math.min(o.every, 500), (lb, s) => {
    const key = `${lb}/${s.vip?.vip_id}`;
    const was = before.get(key);
    if (was) say(statsChanges(lb, was, s));
    before.set(key, s);
    if (s.vip && !pools.has(s.vip.name))
      pools.set(s.vip.name, { orders: new OrderChanges(), guardrails: new GuardrailChanges() });
  });
  const stops = [stopStats, ...(await followVerdicts(clients, say))];
  const pool = setInterval(() => void askPools(clients, pools, say), o.every);
  if (!o.json && process.stdout.isTTY) process.stderr.write("events from now on; Ctrl-C ends\n");
  await untilStopped(o);
  clearInterval(pool);
  for (const stop of stops) stop();
}

/** Replicas of health agree or not: the first that says a change says it for all. */
async function followVerdicts(clients: Clients, say: (all: readonly Happening[]) => void): Promise<(() => void)[]> {
  const heard = new VerdictChanges();
  const replicas = await clients.health.all().catch(() => []);
  return replicas.map(({ address, client }) =>
    follow(
      () => client.Watch({ instance: "" }),
      (m: WatchResponse__Output) => say(heard.hear(address, m.verdicts)),
    ),
  );
}

interface PoolChanges {
  orders: OrderChanges;
  guardrails: GuardrailChanges;
}

async function askPools(
  clients: Clients,
  pools: ReadonlyMap<string, PoolChanges>,
  say: (all: readonly Happening[]) => void,
): Promise<void> {
  for (const [name, { orders, guardrails }] of pools) {
    // While failover is away nobody orders anything.
    const [r, trust] = await Promise.all([
      clients.failover.any("History", { vip_id: 0, name, limit: 50 }).catch(() => null),
      clients.inference.each("GetTrust", { vip: name }).catch(() => []),
    ]);
    if (r) say(orders.hear(name, r.changes));
    for (const a of trust) if ("answer" in a) say(guardrails.hear(a.address, name, a.answer));
  }
}

async function watch(words: readonly string[], o: Live): Promise<void> {
  const screen = process.stdout.isTTY === true ? new Screen(process.stdout) : null;
  let stopped = false;
  const end = untilStopped(o).then(() => (stopped = true));
  while (!stopped) {
    const text = await run(words);
    if (stopped) break;
    if (screen) screen.draw([`every ${o.every / 1000} s: marllbctl ${words.join(" ")}`, "", ...text.trimEnd().split("\n")]);
    else process.stdout.write(text);
    await Promise.race([end, new Promise((resolve) => setTimeout(resolve, o.every))]);
  }
  screen?.close();
}

/** One run of this program, its errors among its output. */
function run(words: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const args = [...NODE_ARGS, process.argv[1] as string, ...words];
    execFile(process.execPath, args, { maxBuffer: 64 << 20 }, (_, stdout, stderr) => resolve(`${stdout}${stderr}`));
  });
}
