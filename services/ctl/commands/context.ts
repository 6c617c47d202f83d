// SPDX-License-Identifier: Apache-2.0
// Contexts: where marllbctl finds the load balancers and services of a site, from any host.
import path from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { contextFile } from "../context-file.js";
import { type Context, isTarget, readContexts, writeContexts } from "../contexts.js";
import { append } from "../flags.js";
import { columns, output } from "../print.js";
import { LaunchError } from "../up/error.js";

interface SetFlags {
  agent?: string[];
  inference?: string[];
  health?: string[];
  failover?: string[];
  cert?: string;
  key?: string;
  ca?: string;
}

export function register(program: Command): void {
  const context = program
    .command("context")
    .description(`load balancers and services by name, kept in ${contextFile()} (MARLLB_CONTEXTS names another file)`);
  context
    .command("list")
    .description("the contexts; * is the current one")
    .option("--json", "the answer as JSON", false)
    .action((o: { json: boolean }) => {
      const all = readContexts(contextFile());
      const row = ([name, c]: [string, Context]) => [
        name === all.current ? "*" : "",
        name,
        ...[c.agents, c.inference, c.health, c.failover].map((list) => list.join(" ") || "-"),
        c.tls ? "yes" : "no",
      ];
      output(o.json, all, () =>
        columns(["", "context", "agents", "inference", "health", "failover", "TLS"], Object.entries(all.contexts).map(row)),
      );
    });
  context
    .command("use")
    .description("the one that commands are for; - is none")
    .argument("<name>")
    .action((name: string) => {
      const file = contextFile();
      const all = readContexts(file);
      if (name === "-") delete all.current;
      else if (all.contexts[name]) all.current = name;
      else throw new LaunchError(`no context ${name}; there are: ${Object.keys(all.contexts).join(", ") || "none yet"}`, 2);
      writeContexts(file, all);
    });
  context
    .command("set")
    .description("makes or replaces one")
    .argument("<name>")
    .requiredOption("--agent <address>", "a load balancer's agent, HOST:PORT; may be repeated", append)
    .option("--inference <address>", "an inference service; may be repeated", append)
    .option("--health <address>", "a health service; may be repeated", append)
    .option("--failover <address>", "a failover service; may be repeated", append)
    .option("--cert <file>", "our certificate, where the services want TLS")
    .option("--key <file>", "its private key")
    .option("--ca <file>", "who signs the services' certificates")
    .action((name: string, o: SetFlags) => {
      if ((o.cert === undefined) !== (o.key === undefined))
        throw new InvalidArgumentError("--cert and --key: expected both or none.");
      for (const text of [o.agent, o.inference, o.health, o.failover].flatMap((list) => list ?? []))
        if (!isTarget(text)) throw new InvalidArgumentError(`${text}: expected HOST:PORT, such as lb1.example:50051.`);
      const file = contextFile();
      const all = readContexts(file);
      const { cert, key, ca, agent = [], inference = [], health = [], failover = [] } = o;
      const tls =
        cert !== undefined && key !== undefined
          ? { tls: { cert: path.resolve(cert), key: path.resolve(key), ...(ca !== undefined && { ca: path.resolve(ca) }) } }
          : {};
      all.contexts[name] = { agents: agent, inference, health, failover, ...tls };
      all.current ??= name;
      writeContexts(file, all);
    });
  context
    .command("delete")
    .description("forgets one")
    .argument("<name>")
    .action((name: string) => {
      const file = contextFile();
      const all = readContexts(file);
      if (!all.contexts[name]) throw new LaunchError(`no context ${name}`, 2);
      delete all.contexts[name];
      if (all.current === name) delete all.current;
      writeContexts(file, all);
    });
}
