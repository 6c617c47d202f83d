// SPDX-License-Identifier: Apache-2.0
// `marllbctl up`: the launcher in front of a person.
import { follow } from "../../common/grpc/ask.js";
import { catchUnused } from "../../common/signals.js";
import { connect } from "../client.js";
import { targetOf } from "../target.js";
import { banner, consoleLine } from "./banner.js";
import { Launcher } from "./launcher.js";
import type { UpOptions } from "./options.js";
import { Screen } from "./screen.js";
import { View } from "./view.js";

const tableMs = 500;
const plainMs = 2000;

export async function up(o: UpOptions): Promise<number> {
  const out = process.stdout;
  const live = out.isTTY === true && !o.plain;
  const screen = live ? new Screen(out) : undefined;
  const say = (line: string): void => {
    if (screen) screen.say(line);
    else out.write(`${line}\n`);
  };
  out.on("error", () => {}); // whoever read us is gone; that alone is no reason to stop serving
  let launcher: Launcher | undefined;
  let forced = 0;
  const wish = stopWish(o, () => {
    launcher?.killAll();
    // Its files still go, in the stop that is under way; whoever presses on has waited enough.
    if (!launcher || ++forced > 1) process.exit(1);
  });
  const view = new View();
  let up = false;
  const events = {
    onStart(l: Launcher) {
      launcher = l;
      say("starting ...");
      void wish.then(() => up || say("stopping what has started (again Ctrl-C: at once)"));
    },
    // A browser may open it while the rest starts.
    onUp: (name: string, { plan, instance }: Pick<Launcher, "plan" | "instance">) =>
      name === "console" && say(consoleLine(plan, instance)),
    onDeath(name: string, why: string, logFile: string) {
      view.died(name);
      say(`${name} ${why}; it is started again (log: ${logFile})`);
    },
    onRestart: (name: string) => say(`${name} is back`),
    onLoad: (report: Record<string, unknown>) => view.load(report),
  };
  const it = await Launcher.start(o, process.env, events, wish);
  if (it === null) {
    say("stopped before all had started; nothing is left behind");
    return forced > 0 ? 1 : 0;
  }
  up = true;
  const killAtExit = (): void => it.killAll();
  process.once("exit", killAtExit);
  view.plan(it.plan);
  for (const line of banner(it.plan, it.instance)) say(line);
  const lbs = [it.plan.config, ...it.plan.others];
  const clients = connect(targetOf(it.plan.config));
  const agents = await clients.agents.all();
  const every_ms = Math.max(it.plan.config.tick_ms, live ? tableMs : plainMs);
  const started = performance.now();
  const unfollow = agents.map(({ client }, i) => {
    const lb = lbs[i]?.instance ?? "";
    return follow(
      () => client.StreamStats({ every_ms }),
      (stats) => {
        view.stats(lb, stats);
        if (screen) screen.draw(view.lines(out.hasColors?.() ?? false));
        else say(`${agents.length > 1 ? `${lb}: ` : ""}${view.line(stats, (performance.now() - started) / 1000)}`);
      },
    );
  });
  await Promise.race([wish, ...(o.duration === undefined ? [] : [sleep(o.duration * 1000)])]);
  for (const stop of unfollow) stop();
  await clients.close();
  screen?.close();
  say(
    `stopping: no new requests, then at most ${it.plan.config.dataplane.drain_timeout_ms / 1000} s for the connections in progress (again Ctrl-C: at once)`,
  );
  await it.stop();
  if (it.deaths > 0) say(`something died meanwhile; the logs are kept in ${it.instance.logs}`);
  else say(forced > 0 ? "stopped at once, open connections were cut; nothing is left behind" : "stopped; nothing is left behind");
  process.off("exit", killAtExit);
  return forced > 0 ? 1 : 0;
}

const sleep = (ms: number): Promise<void> => new Promise((r) => setTimeout(r, ms));

/** npm passes a Ctrl-C on to us although the terminal has sent it to us as well: one press may arrive twice. */
const samePressMs = 1000;

/** Signals and the end of stdin as one wish to stop; `again` is called at a further press. Handlers stay: a signal must never find none. */
function stopWish(o: UpOptions, again: () => void): Promise<void> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const onSignal = (): void => {
      const now = performance.now();
      if (first === undefined) {
        first = now;
        resolve();
      } else if (now - first > samePressMs) again();
    };
    for (const s of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) process.on(s, onSignal);
    catchUnused(() => {});
    if (!o.stopWithStdin) return;
    process.stdin.on("end", () => resolve()).on("error", () => resolve());
    process.stdin.resume();
  });
}
