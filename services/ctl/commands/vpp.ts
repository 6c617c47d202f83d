// SPDX-License-Identifier: Apache-2.0
// A VPP on this host that is not the launcher's: what the configuration wants of it, given once or kept. VIPs and servers live in VPP's
// memory; after a restart of VPP they are put back by whoever runs `vpp keep`.
import { type Command, Option } from "commander";
import { loadConfig } from "../../common/config/load.js";
import { findDataplane, suits } from "../dataplanes/index.js";
import { keepVpp, VppKeeper, vppCli } from "../dataplanes/vpp-keeper.js";
import { wantedOf } from "../dataplanes/vpp-wanted.js";
import { append } from "../flags.js";
import { output } from "../print.js";
import { LaunchError } from "../up/error.js";
import { defaultConfig } from "../up/launch-plan.js";

interface Options {
  config: string;
  set?: string[];
}
type Answered = Options & { json: boolean };

const usual = "/run/vpp/cli.sock";

function target(o: Options) {
  const config = loadConfig(o.config, o.set ?? []);
  for (const note of suits(config, findDataplane("vpp"))) process.stderr.write(`${note}\n`);
  const socket = config.dataplane.vpp.socket || usual;
  return { wanted: wantedOf(config), socket, cli: vppCli(config.dataplane.vpp.vppctl, socket) };
}

async function sync(o: Answered): Promise<void> {
  const { cli, wanted, socket } = target(o);
  const { done, refused } = await new VppKeeper(cli, wanted).sync().catch((e: Error) => {
    throw new LaunchError(`VPP at ${socket} does not answer: ${e.message.trim().split("\n").at(-1)}`);
  });
  if (o.json || done.length > 0) output(o.json, { done, refused }, () => done.join("\n"));
  if (refused.length > 0) throw new LaunchError(refused.join("\n"));
}

async function keep(o: Options): Promise<void> {
  let stop = new AbortController();
  let over = false;
  const end = (): void => {
    over = true;
    stop.abort();
  };
  process
    .on("SIGTERM", end)
    .on("SIGINT", end)
    .on("SIGHUP", () => stop.abort());
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  let now = target(o);
  while (!over) {
    const { cli, wanted, socket } = now;
    await keepVpp(cli, wanted, {
      socket,
      stop: stop.signal,
      said({ done, refused, away }) {
        if (away !== undefined) say(`VPP at ${socket} does not answer: ${away}; it is asked again until it does`);
        for (const line of done) say(`given: ${line}`);
        for (const line of refused) say(line);
      },
    });
    if (over) return;
    stop = new AbortController();
    try {
      now = target(o);
      say("the configuration was read again");
    } catch (e) {
      say(`the configuration was read again and is not right, the old one holds: ${(e as Error).message}`);
    }
  }
}

export function register(program: Command): void {
  const vpp = program
    .command("vpp")
    .description("a VPP with our plugin on this host (dataplane.vpp.socket, else /run/vpp/cli.sock)");
  const command = (name: string, text: string) =>
    vpp
      .command(name)
      .description(text)
      .option("--config <file>", "configuration", defaultConfig)
      .addOption(new Option("--set <key=value>", "override one value; may be repeated").argParser(append));
  const answered = (name: string, text: string) => command(name, text).option("--json", "the answer as JSON", false);
  answered("commands", "print the commands that make an empty VPP what the configuration wants").action((o: Answered) => {
    const { wanted } = target(o);
    const nat = wanted.natInterfaces.map((i) => `lb rl nat interface ${i}`);
    const commands = [...wanted.enable, ...nat, ...wanted.vips.flatMap((v) => [v.set, ...v.servers])];
    output(o.json, { commands }, () => commands.join("\n"));
  });
  answered("sync", "give VPP what it lacks of the configuration, and make its VIPs what the configuration says").action(sync);
  command("keep", "the same, and again whenever VPP lost it (until SIGTERM; SIGHUP reads the configuration again)").action(keep);
}
