// SPDX-License-Identifier: Apache-2.0
// The selection mode belongs to the data plane: `marllbctl mode NAME` asks the embedded one over its control socket, on its own host.
import { connect } from "node:net";
import type { Command } from "commander";
import { MODE_WORDS, wireMode } from "../../common/vocabulary.js";
import { output } from "../print.js";
import { findVip, targetConfig, withClients } from "../target.js";
import { LaunchError } from "../up/error.js";
import { type Common, common } from "./common.js";

/** One line to marllb-dp's control socket; its answer ends with `ok` or `error: ...`. */
export function control(socket: string, line: string, timeoutMs = 5000): Promise<void> {
  return new Promise((resolve, reject) => {
    const peer = connect(socket);
    let answer = "";
    const end = (problem?: string): void => {
      peer.destroy();
      if (problem === undefined) resolve();
      else reject(new LaunchError(problem));
    };
    peer.setTimeout(timeoutMs, () => end(`${socket}: no answer within ${timeoutMs / 1000} s`));
    peer.on("error", (e) => end(`${socket}: ${e.message}`));
    peer.on("connect", () => peer.write(`${line}\n`));
    peer.setEncoding("utf8").on("data", (text: string) => {
      answer += text;
      const error = /^error: (.*)$/m.exec(answer);
      if (error) end(error[1]);
      else if (/^ok$/m.test(answer)) end();
    });
    peer.on("close", () => end(`${socket}: closed without an answer`));
  });
}

export function register(program: Command): void {
  common(
    program.command("mode").description("the selection mode; with an argument, sets it in the embedded data plane of this host"),
  )
    .argument("[mode]", MODE_WORDS.join(", "))
    .option("--vip <name>", "VIP by name or number (default: the only one)")
    .action((mode: string | undefined, o: Common & { vip?: string }) =>
      withClients(o, async (clients) => {
        const vip = await findVip(clients, o.vip);
        if (mode === undefined) return output(o.json, { mode: vip.mode }, () => wireMode.word(vip.mode));
        if (!MODE_WORDS.includes(mode)) {
          throw new LaunchError(`mode ${mode}: expected one of ${MODE_WORDS.join(", ")}`, 2);
        }
        const config = targetConfig(o);
        if (config.dataplane.kind === "vpp") {
          throw new LaunchError(`VPP sets it by its own command: vppctl lb rl set-mode vip ${vip.name} ${mode}`);
        }
        await control(`${config.region.path}.ctl`, `set-mode vip ${vip.name} ${mode}`);
        output(o.json, { mode }, () => `${vip.name}: mode ${mode}, until the data plane reads its configuration again`);
      }),
    );
}
