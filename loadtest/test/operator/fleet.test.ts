// SPDX-License-Identifier: Apache-2.0
// marllbctl from a host that runs nothing: two load balancers, one of each service, found by a context.
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import test from "ava";
import { marllbctl, PATIENCE, type Said } from "../../../testbed/ctl.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";

/** On a host with these contexts that runs nothing. */
const elsewhere = (contexts: string, ...args: string[]): Promise<Said> =>
  marllbctl(args[0] === "context" || args.includes("--timeout") ? args : [...args, ...PATIENCE], {
    MARLLB_CONTEXTS: contexts,
    TMPDIR: path.dirname(contexts),
  });

test("a context names two load balancers: every command is for both, or for the one of --lb; a silent one is said", async (t) => {
  const server = http.createServer((_, r) => void r.end("a"));
  await new Promise<void>((r) => server.listen(0, "127.0.0.1", r));
  const servers = [{ address: `127.0.0.1:${(server.address() as AddressInfo).port}` }];
  const one = await Stack.whole({ servers });
  const shared = { inference: one.at("inference"), health: one.at("health"), failover: one.at("failover") };
  const two = await Stack.dataPlane({ servers, peers: shared });
  try {
    await two.start("shm-agent");
    const contexts = path.join(one.folder, "contexts.yaml");
    const ctl = (...args: string[]): Promise<Said> => elsewhere(contexts, ...args);
    const services = Object.entries(shared).flatMap(([name, address]) => [`--${name}`, address]);
    const agents = [one, two].map((s) => s.at("shm-agent"));
    const made = await ctl("context", "set", "site", ...agents.flatMap((a) => ["--agent", a]), ...services);
    t.is(made.code, 0, made.errors);
    t.regex((await ctl("context", "list")).out, /\* +site/);

    const names = [one.instance, two.instance];
    await eventually("both load balancers are steered", async () => {
      const { out } = await ctl("explain", "--json");
      return out !== "" && (JSON.parse(out) as unknown[]).length === 2;
    });
    const all = JSON.parse((await ctl("status", "--json")).out) as { instance: string; attached: boolean }[];
    t.deepEqual(
      all.map((s) => s.instance),
      names,
    );
    t.true(all.every((s) => s.attached));
    for (const command of ["weights", "policy get", "explain"]) {
      const { out } = await ctl(...command.split(" "));
      for (const name of names) t.true(out.includes(`${name}: `), `${command}: ${out}`);
    }
    const chosen = await ctl("weights", "--json", "--lb", two.instance);
    t.is((JSON.parse(chosen.out) as { instance: string }).instance, two.instance, chosen.errors);
    t.is((await ctl("policy", "set", "static")).code, 0);
    t.is((await ctl("policy", "get")).out, names.map((n) => `${n}: static\n`).join(""));

    // An order is the pool's; the mode is set at the data plane of this host, which runs neither of them.
    const alone = await ctl("policy", "set", "kalman", "--lb", two.instance);
    t.is(alone.code, 2);
    t.regex(alone.errors, /An order holds at all load balancers of the pool, not at \S+ alone/);
    const mode = await ctl("mode", "p2c");
    t.is(mode.code, 2);
    t.true(mode.errors.includes(`asked was ${names.join(", ")}`), mode.errors);

    const nobody = await ctl("status", "--lb", "elsewhere");
    t.is(nobody.code, 1);
    t.regex(nobody.errors, new RegExp(`no load balancer elsewhere; there are: ${one.instance} `));
    await two.kill("shm-agent");
    const half = await ctl("status");
    t.is(half.code, 1);
    t.true(half.out.includes(`instance ${one.instance} `));
    t.true(half.errors.includes(`nothing answers at ${two.at("shm-agent")} (shm-agent); is it running?`), half.errors);
    t.regex((await ctl("status", "--context", "sit")).errors, /no context sit; did you mean site\?/);
  } finally {
    await two.stop();
    await one.stop();
    server.close();
  }
});

test("a replica that does not answer is passed over; one that hangs is named with its service", async (t) => {
  const hung = http.createServer(() => {});
  hung.on("connection", () => {});
  await new Promise<void>((r) => hung.listen(0, "127.0.0.1", r));
  const address = `127.0.0.1:${(hung.address() as AddressInfo).port}`;
  const said = await elsewhere("/nowhere/contexts.yaml", "policy", "list", "--inference", address, "--timeout", "300");
  t.is(said.code, 1);
  t.regex(said.errors, /^inference at 127\.0\.0\.1:\d+: |nothing answers/);
  hung.closeAllConnections();
  hung.close();
});
