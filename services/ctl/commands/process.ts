// SPDX-License-Identifier: Apache-2.0
// What can be changed of a service's process while it runs.
import { Argument, type Command } from "commander";
import { LOG_LEVELS } from "../../common/config/schema.js";
import { v1 } from "../../common/grpc/protos.js";
import type { Target } from "../client.js";
import { columns, output } from "../print.js";
import { Replicas } from "../replicas.js";
import { chooseTarget } from "../target.js";
import { type Common, common } from "./common.js";

const ADDRESSES: Record<string, (t: Target) => readonly string[]> = {
  "shm-agent": (t) => t.agents,
  inference: (t) => t.inference,
  health: (t) => t.health,
  failover: (t) => t.failover,
};

export function register(program: Command): void {
  common(
    program
      .command("log-level")
      .description("the log level of a service, at all its replicas; shows it, or sets it until a restart"),
  )
    .addArgument(new Argument("<service>").choices(Object.keys(ADDRESSES)))
    .addArgument(new Argument("[level]").choices(LOG_LEVELS))
    .action(async (service: string, level: string | undefined, o: Common) => {
      const target = await chooseTarget(o);
      const addresses = (ADDRESSES[service] as (t: Target) => readonly string[])(target);
      const replicas = new Replicas(service, () => v1.Process, addresses, target, o.timeout ?? 5000);
      try {
        const all = await replicas.each("SetLogLevel", { level: level ?? "" });
        const answers = all.map((a) => ("answer" in a ? { address: a.address, ...a.answer } : { address: a.address }));
        output(o.json, answers, () =>
          columns(
            ["address", "level", "before"],
            all.map((a) => ("answer" in a ? [a.address, a.answer.level, a.answer.previous] : [a.address, "-", "-"])),
          ),
        );
        for (const a of all) {
          if (!("error" in a)) continue;
          process.stderr.write(`${a.error.message}\n`);
          process.exitCode = 1;
        }
      } finally {
        await replicas.close();
      }
    });
}
