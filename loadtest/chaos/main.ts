// SPDX-License-Identifier: Apache-2.0
// npm run chaos [-- --minutes N] [--seed S] [--only FAULT]: a small site (two load balancers, two replicas of each service, etcd where it is installed)
// in which processes are killed, stopped and starved, links cut, slowed and reset, and packets dropped, one at a time and in pairs, under
// traffic and under orders. No order answered OK may be lost, no flow may start on a server that all agree is drained, no request may
// be lost. An interrupt (Ctrl-C, SIGTERM) ends it after the round under way, and so does a failure: it always prints what it saw so far.
import { spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { which } from "../../testbed/process.js";
import { Net, unshared } from "./net.js";
import { chaos } from "./run.js";

const usage = "usage: npm run chaos [-- --minutes N] [--seed S] [--only TEXT-IN-A-FAULT'S-NAME]\n";

function flags(): { minutes: number; seed: number; only: string } {
  try {
    const { values } = parseArgs({
      options: { minutes: { type: "string" }, seed: { type: "string" }, only: { type: "string" } },
    });
    const f = { minutes: Number(values.minutes ?? 10), seed: Number(values.seed ?? 1), only: values.only ?? "" };
    if (!(f.minutes > 0 && f.minutes <= 10_080)) throw new Error("--minutes: expected a number above 0, at most 10080 (a week)");
    if (!Number.isInteger(f.seed)) throw new Error("--seed: expected a whole number");
    return f;
  } catch (e) {
    process.stderr.write(`${(e as Error).message}\n${usage}`);
    process.exit(2);
  }
}

const { minutes, seed, only } = flags();
/** Set for the process that is in a network of its own. */
const OWN_NETWORK = "MARLLB_CHAOS_OWN_NETWORK";

/** This program once more, in a network where it may drop packets. Null: there can be none here. */
async function inOwnNetwork(): Promise<number | null> {
  const prefix = unshared();
  if (prefix === null) return null;
  const [file, ...args] = [...prefix, process.execPath, ...process.argv.slice(1)] as [string, ...string[]];
  // Of a process group of its own: a terminal's Ctrl-C would end the services of the site, too.
  const env = { ...process.env, [OWN_NETWORK]: "1" };
  const child = spawn(file, args, { stdio: ["pipe", "inherit", "inherit"], detached: true, env });
  // unshare hands no signals on: the end of its input is the interrupt. A second one ends all at once.
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => (child.stdin?.writableEnded ? child.kill("SIGKILL") : child.stdin?.end()));
  return new Promise((resolve) => child.on("close", (code) => resolve(code ?? 1)));
}

const inside = process.env[OWN_NETWORK] !== undefined;
if (!inside) {
  const code = await inOwnNetwork();
  if (code !== null) process.exit(code);
  process.stderr.write("# no network namespaces here (root, or unprivileged user namespaces): no packets are dropped\n");
}
const interrupt = new AbortController();
if (inside) process.stdin.on("end", () => interrupt.abort()).resume();
else for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupt.abort());
const net = inside ? await Net.open() : null;
const started = performance.now();
if (which("etcd") === null)
  process.stderr.write("# no etcd here (Debian: etcd-server): one failover with a file store instead\n");
const say = (line: string): void => void process.stderr.write(`# ${line}\n`);
const r = await chaos({ seconds: minutes * 60, seed, only, net, interrupt: interrupt.signal, say });
net?.close();
const line = (name: string, value: string | number, verdict = ""): void =>
  void process.stdout.write(`${name.padEnd(28)} ${String(value).padEnd(48)} ${verdict}\n`);
const listed = (m: Map<string, number>): string => [...m].map(([k, n]) => `${n} ${k}`).join(", ");
line("chaos.hours", ((performance.now() - started) / 3_600_000).toFixed(2));
line("chaos.rounds", r.rounds);
line("chaos.faults", listed(r.faults));
line("chaos.orders", listed(r.orders));
line("chaos.requests", `${r.requests}, ${r.excused} cut with a data plane that was killed`);
for (const [name, list] of [
  ["orders_lost", r.ordersLost],
  ["requests_lost", r.requestsLost],
  ["drains_broken", r.drainsBroken],
] as const) {
  for (const one of list.slice(0, 20)) line(`chaos.${name}`, one);
  line(`chaos.${name}`, list.length, list.length === 0 ? "met" : "MISSED");
}
if (r.failed !== null) line("chaos.failed", r.failed);
const good = r.failed === null && r.ordersLost.length + r.requestsLost.length + r.drainsBroken.length === 0 && r.requests > 0;
process.exit(good ? 0 : 1);
